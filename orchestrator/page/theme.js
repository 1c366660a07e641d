// The theme: light, dark or the system's. A classic script in the head, so that the page does not
// flash in the wrong colours.
(() => {
  const THEMES = ["system", "light", "dark"];
  const LABELS = { system: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };
  const ICONS = { system: "#icon-theme", light: "#icon-light", dark: "#icon-dark" };
  let theme = "system";
  try {
    theme = localStorage.getItem("theme") ?? "system";
  } catch {
    // The browser's storage is off: the choice lasts as long as the page.
  }
  if (!THEMES.includes(theme)) theme = "system";

  const show = () => {
    document.documentElement.dataset.theme = theme;
  };
  show();
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme-toggle");
    const label = () => {
      button.setAttribute("aria-label", LABELS[theme]);
      button.title = LABELS[theme];
      button.querySelector("use").setAttribute("href", ICONS[theme]);
    };
    label();
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // As above.
      }
      show();
      label();
    });
  });
})();
