/* What all scripts of a page share, as `hpff`: its data, its colours, and news of a changed theme. */
(() => {
  const hpff = { data: JSON.parse(document.getElementById('data').textContent) };
  globalThis.hpff = hpff;
  const root = document.documentElement;
  const repaints = [];

  /** Says that something went wrong, for whoever checks the page. */
  globalThis.addEventListener('error', ({ message }) => (root.dataset.error = message));

  /** Colour by the name of its variable, without the dashes. */
  hpff.color = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();

  /** One of ten colours that are told apart. */
  hpff.seriesColor = (index) => hpff.color(`c${index % 10}`);

  hpff.isDark = () => matchMedia('(prefers-color-scheme: dark)').matches;

  /** Colour of a place between 0 and 1: dark blue over teal to yellow; the far ends stay legible on both themes. */
  hpff.ramp = (place) => {
    const stops = hpff.isDark()
      ? [[62, 82, 190], [38, 150, 190], [62, 190, 130], [170, 210, 80], [250, 225, 110]] // prettier-ignore
      : [[38, 42, 130], [28, 104, 160], [22, 145, 130], [110, 175, 60], [215, 165, 20]]; // prettier-ignore
    const at = Math.min(Math.max(place, 0), 1) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    const mixed = stops[low].map((value, i) => Math.round(value + (stops[low + 1][i] - value) * (at - low)));
    return `rgb(${mixed.join(' ')})`;
  };

  /** Runs now and whenever the theme changes. */
  hpff.paint = (draw) => {
    repaints.push(draw);
    draw();
  };
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => repaints.forEach((draw) => draw()));

  const waiting = [];
  /** Runs when the page has its elements, which then have a width. */
  hpff.whenShown = (_element, act) => waiting.push(act);
  hpff.showAll = () => waiting.splice(0).forEach((act) => act());

  /** Draws whenever the element's width changes. */
  hpff.onWidth = (element, draw) => {
    let width = element.clientWidth;
    new ResizeObserver(() => {
      if (element.clientWidth === width) return;
      width = element.clientWidth;
      draw();
    }).observe(element);
  };

  /** The pen of an empty canvas of so many CSS pixels, sharp on any screen. */
  hpff.pen = (canvas, width, height) => {
    const ratio = globalThis.devicePixelRatio || 1;
    Object.assign(canvas, { width: width * ratio, height: height * ratio });
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext('2d');
    pen.scale(ratio, ratio);
    return pen;
  };

  /** A button that is pressed or not. */
  hpff.toggle = (text, pressed, act) => {
    const button = hpff.element('button', { textContent: text, type: 'button' });
    button.setAttribute('aria-pressed', String(pressed));
    button.addEventListener('click', act);
    return button;
  };

  /** A new element with these properties and children. */
  hpff.element = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  /** A number of at most four digits. */
  hpff.short = (value) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return '–';
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
    return String(Number(value.toPrecision(4)));
  };
})();
