// Wakes the islands of a page. The page works without: whatever keeps this from loading, leaving the page included, is no error to show.
const own = document.querySelector("script[data-module]");
const wake = async () => {
  const module = await import(own.dataset.module);
  await module.default({ module_or_path: own.dataset.wasm });
  module.hydrate();
  for (const island of document.querySelectorAll("leptos-island")) await module[island.dataset.component]?.(island);
};
if (own) wake().catch(() => {});
