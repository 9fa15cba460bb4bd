"""How the page looks: one typeface, two weights, one accent, light and dark."""

from __future__ import annotations

import gradio as gr

THEME = gr.themes.Base(
    primary_hue="teal",
    neutral_hue="slate",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
)
CSS = """
.gradio-container { max-width: 1360px !important; margin: 0 auto !important; }
#title h1 { margin-bottom: 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 10px 24px; margin: 0; }
.facts dt { font-size: 0.78rem; color: var(--body-text-color-subdued); }
.facts dd { margin: 0; font-size: 0.92rem; overflow-wrap: anywhere; }
.notes p, p.hint { margin: 8px 0 0; font-size: 0.85rem; color: var(--body-text-color-subdued); }
@media (max-width: 640px) { .gradio-container { padding: 8px !important; } }
"""
