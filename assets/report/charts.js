/* Line charts over steps, with uPlot. */
(() => {
  const { hpff, uPlot } = globalThis;
  const HEIGHT = 240;
  const FONT = '12px system-ui, sans-serif';

  /** Charts whose cursors go together. */
  const cursors = uPlot.sync('steps');

  /**
   * Draws a chart into `host`, anew whenever its width or the theme changes.
   * @param describe gives `{ x, series: [{ label, values, color, width, dash, band }], format, log, legend, height }`; `color` is a function
   * @returns a function that draws anew
   */
  hpff.chart = (host, describe) => {
    const draw = hpff.chartLater(host, describe);
    hpff.paint(draw);
    return draw;
  };

  /** As `chart`, but draws only when the function that it returns is called, and when the width changes. */
  hpff.chartLater = (host, describe) => {
    let chart;
    const draw = () => {
      chart?.destroy();
      chart = undefined;
      const width = host.clientWidth;
      if (width === 0) return;
      const { x, series, height = HEIGHT, ...rest } = describe();
      chart = new uPlot(options(series, { ...rest, width, height }), [x, ...series.map(({ values }) => values)], host);
    };
    hpff.onWidth(host, draw);
    return draw;
  };

  function options(series, { width, height, format = hpff.short, log = false, legend = true, range }) {
    const axis = {
      stroke: hpff.color('soft'),
      font: FONT,
      grid: { stroke: hpff.color('grid'), width: 1 },
      ticks: { stroke: hpff.color('line'), width: 1, size: 4 },
    };
    return {
      width,
      height,
      cursor: { sync: { key: cursors.key }, points: { size: 6 }, drag: { x: true, y: false } },
      legend: { show: legend, live: true },
      scales: {
        x: { time: false },
        y: log ? { distr: 3 } : { range: range ?? ((_, low, high) => uPlot.rangeNum(low, high, 0.06, true)) },
      },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map(stepText), space: 70, size: 32 },
        { ...axis, values: (_, ticks) => tickTexts(ticks, format), size: 62 },
      ],
      series: [
        { label: 'step', value: (_, value) => (value === null ? '' : stepText(value)) },
        ...series.map(line(format)),
      ],
      bands: series.flatMap(({ band }, i) => (band ? [{ series: [i + 1, i + 2], fill: faint(band()) }] : [])),
    };
  }

  /** With as many digits as tell neighbours apart. */
  function tickTexts(ticks, format) {
    const [first, second] = ticks.filter((tick) => tick !== null);
    const largest = Math.max(...ticks.map(Math.abs));
    const digits = Math.min(15, Math.ceil(Math.log10(largest / Math.abs(second - first))) + 2);
    const text = format === hpff.short && digits > 4 ? (tick) => String(Number(tick.toPrecision(digits))) : format;
    return ticks.map((tick) => (tick === null ? '' : text(tick)));
  }

  const line =
    (format) =>
    ({ label, color, width = 1.6, dash, points, className, show = true }) => ({
      label,
      class: className,
      show,
      stroke: color(),
      width,
      dash,
      spanGaps: true,
      points: points ? { show: true, size: 6, fill: color() } : { show: false },
      value: (_, value) => (value === null ? '' : format(value)),
    });

  /** A colour that lets others through. */
  const faint = (color) => `color-mix(in srgb, ${color} 22%, transparent)`;

  const stepText = (step) => (Number.isInteger(step) ? String(step).replace(/\B(?=(\d{3})+$)/g, '\u202f') : '');

  hpff.stepText = stepText;
})();
