"""How the page looks: one typeface, two weights, one accent, much air; light and dark."""

from __future__ import annotations

import gradio as gr

THEME = gr.themes.Base(
    primary_hue="teal",
    neutral_hue="slate",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
    radius_size=gr.themes.sizes.radius_md,
).set(
    button_primary_background_fill="*primary_700",  # white text is read well on it
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_600",
    button_large_text_weight="600",
    block_label_text_size="*text_xs",
    block_title_text_weight="500",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
    body_text_color_subdued="*neutral_500",
    body_text_color_subdued_dark="*neutral_400",
)
CSS = """
.gradio-container { width: 100% !important; max-width: 1360px !important; margin: 0 auto !important; padding: clamp(12px, 2.5vw, 36px) clamp(12px, 4vw, 56px) !important; }
.gradio-container > .main.app { padding: 0 !important; }
#title { padding: 0; }
#title h1 { display: inline; font-size: 1.35rem; font-weight: 600; margin: 0 14px 0 0; }
#title p { display: inline; font-size: 0.95rem; color: var(--body-text-color-subdued); margin: 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 10px 24px; margin: 0; }
.facts dt { font-size: 0.78rem; color: var(--body-text-color-subdued); }
.facts dd { margin: 0; font-size: 0.9rem; overflow-wrap: anywhere; }
.notes p, p.hint, .hint p { margin: 8px 0 0; font-size: 0.85rem; line-height: 1.4; color: var(--body-text-color-subdued); }
p.hint, .hint p { margin: 0; }
footer .divider { display: none; }
button[role="tab"].selected { color: var(--primary-700) !important; }  /* read well on white; the accent itself is too pale for text */
.dark button[role="tab"].selected { color: var(--primary-300) !important; }
[data-testid="status-tracker"]:has(.error) { display: none !important; }  /* the sentence is in the toast; the last result stays */
.low { align-self: flex-end; }
.progress-text, .progress-level *, .meta-text, .meta-text-center, #clip *, #movie * { font-family: var(--font) !important; }
.plain, .plain * { font-family: var(--font) !important; }
.rows { width: 100%; border-collapse: collapse; font-size: 0.9rem; }
.rows caption { text-align: left; font-size: 0.78rem; color: var(--body-text-color-subdued); margin-bottom: 6px; }
.rows th, .rows td { text-align: left; vertical-align: top; padding: 6px 16px 6px 0 !important; border: 0 !important; border-bottom: 1px solid var(--border-color-primary) !important; }
.rows, .rows thead, .rows tr { border: 0 !important; }
.rows td:nth-child(2) { white-space: nowrap; }
@media (max-width: 640px) {
  #title p { display: block; margin-top: 2px; }
  .picture { height: auto !important; }  /* no empty bars above and below */
}
"""
# Some of Gradio's pictures (thumbnails, sliders) have no text for those who cannot see them: they are given the label of their block, and examples
# the name of their file.
SCRIPT = """
() => {
  const label = (picture) => {
    const block = picture.closest(".block");
    const title = block?.querySelector('[data-testid="block-label"], .label')?.textContent.trim() || "Picture";
    const file = picture.src.split("/").pop().replace(/\\.[a-z]+$/, "").replaceAll("_", " ");
    return picture.closest("button, td") && /^[a-z ]+$/.test(file) ? `${title}: ${file}` : title;
  };
  const name = () => {
    for (const picture of document.querySelectorAll('img:not([alt]), img[alt=""]')) picture.alt = label(picture);
  };
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["src"] });
  name();
}
"""
