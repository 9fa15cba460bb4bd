"""The tabs of the page: layout and events. What they do lies in `app.jobs`."""
