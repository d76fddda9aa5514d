// Light or dark: as the system has it until the reader chooses; the choice is kept where it can be.

function startTheme(changed) {
  const button = byId("theme"), system = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => { try { return localStorage.getItem("closedloop-theme"); } catch { return null; } };
  const keep = (name) => { try { localStorage.setItem("closedloop-theme", name); } catch { /* private or file: not kept */ } };
  let chosen = kept();
  const show = () => {
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
    button.setAttribute("aria-pressed", String(isDark()));
    changed();
  };
  const isDark = () => (chosen === "dark" || chosen === "light" ? chosen === "dark" : system.matches);
  button.addEventListener("click", () => { chosen = isDark() ? "light" : "dark"; keep(chosen); show(); });
  system.addEventListener("change", show);
  show();
}
