/* Losses of local modules: those that are picked as lines, and all of them as a map of module by step. */
(() => {
  const { hpff } = globalThis;
  const MOST_PICKED = 6;
  const LEFT = 62;
  const RIGHT = 14;
  const TOP = 7;
  const BOTTOM = 22;
  const LEGEND = 34;

  /** @returns a section, or null where no module has heads of its own */
  hpff.moduleSection = ({ steps, losses }) => {
    const heads = [...new Set(losses.filter(({ head }) => !head.startsWith('final/')).map(({ head }) => head))].sort();
    if (heads.length === 0) return null;
    const state = { head: heads[0], log: false, picked: new Map() };
    const seriesOf = (head) => losses.filter((each) => each.head === head);
    for (const head of heads)
      state.picked.set(
        head,
        new Set(
          spread(
            seriesOf(head).map(({ module }) => module),
            MOST_PICKED,
          ),
        ),
      );

    const section = hpff.element('section');
    const tabs = hpff.element('div', { className: 'picks' });
    const log = hpff.element('input', { type: 'checkbox' });
    const picks = hpff.element('div', { className: 'picks' });
    const lines = hpff.element('div', { className: 'chart' });
    const mapTitle = hpff.element('h3', { textContent: 'All modules' });
    const map = hpff.element('div', { className: 'canvas' });
    const bar = hpff.element('div', { className: 'bar' }, tabs, hpff.element('label', {}, log, 'logarithmic'));
    section.append(
      hpff.element('h2', { textContent: 'Losses of the modules' }),
      hpff.element('p', { className: 'soft', textContent: 'Means over groups of steps, before weighting.' }),
      bar,
      picks,
      lines,
      mapTitle,
      map,
    );

    const drawLines = hpff.chartLater(lines, () => {
      const all = seriesOf(state.head);
      const picked = all.filter(({ module }) => state.picked.get(state.head).has(module));
      const series = picked.map(({ module, values }) => ({
        label: `module ${module}`,
        values,
        color: () => colorOf(all, module),
      }));
      return { x: steps, series, log: state.log, height: 280 };
    });
    const drawMap = hpff.heatMap(map, () => ({ steps, rows: seriesOf(state.head), log: state.log }));

    const show = () => {
      const all = seriesOf(state.head);
      tabs.replaceChildren(
        ...heads.map((head) => hpff.toggle(head, head === state.head, () => ((state.head = head), show()))),
      );
      picks.replaceChildren(
        ...all.map(({ module }) => {
          const picked = state.picked.get(state.head);
          const button = hpff.toggle(String(module), picked.has(module), () => {
            if (!picked.delete(module)) picked.add(module);
            show();
          });
          button.style.setProperty('--pick', colorOf(all, module));
          button.title = `module ${module}`;
          return button;
        }),
      );
      picks.hidden = all.length < 2;
      map.hidden = mapTitle.hidden = all.length < 4;
      drawLines();
      drawMap();
    };
    log.addEventListener('change', () => ((state.log = log.checked), show()));
    hpff.whenShown(section, () => hpff.paint(show));
    return section;
  };

  /** Along the ramp where there are many, told apart where there are few. */
  function colorOf(all, module) {
    const index = all.findIndex((each) => each.module === module);
    return all.length > 8 ? hpff.ramp(index / (all.length - 1)) : hpff.seriesColor(index);
  }

  /** At most so many of them, evenly spaced, the first and the last included. */
  function spread(values, most) {
    if (values.length <= most) return values;
    return Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))]);
  }

  /** A map of module by step. @returns a function that draws it anew */
  hpff.heatMap = (host, describe) => {
    const canvas = hpff.element('canvas');
    const tip = hpff.element('div', { className: 'tip', hidden: true });
    host.append(canvas, tip);
    let drawn;
    const draw = () => {
      const width = host.clientWidth;
      const { steps, rows, log } = describe();
      if (width === 0 || rows.length < 2) return;
      const rowHeight = Math.max(6, Math.min(18, Math.floor(440 / rows.length)));
      const height = TOP + rows.length * rowHeight + BOTTOM + LEGEND;
      const pen = hpff.pen(canvas, width, height);
      const scale = scaleOf(rows, log);
      const cell = (width - LEFT - RIGHT) / steps.length;
      rows.forEach(({ values }, i) =>
        values.forEach((value, j) => {
          if (value === null) return;
          pen.fillStyle = hpff.ramp(scale.place(value));
          pen.fillRect(
            LEFT + j * cell,
            TOP + i * rowHeight,
            Math.ceil(cell + 0.5),
            rowHeight - (rowHeight > 8 ? 1 : 0),
          );
        }),
      );
      labels(pen, { rows, steps, rowHeight, cell });
      legend(pen, scale, height);
      drawn = { steps, rows, rowHeight, cell, width };
    };
    canvas.addEventListener('mousemove', ({ offsetX: x, offsetY: y }) => {
      const row = drawn?.rows[Math.floor((y - TOP) / drawn.rowHeight)];
      const column = drawn && Math.floor((x - LEFT) / drawn.cell);
      const step = drawn?.steps[column];
      tip.hidden = row === undefined || step === undefined;
      if (tip.hidden) return;
      tip.textContent = `module ${row.module}, step ${hpff.stepText(step)}: ${hpff.short(row.values[column])}`;
      tip.style.left = `${Math.max(0, Math.min(x + 12, drawn.width - 230))}px`;
      tip.style.top = `${y + 14}px`;
    });
    canvas.addEventListener('mouseleave', () => (tip.hidden = true));
    hpff.onWidth(host, draw);
    return draw;
  };

  function labels(pen, { rows, steps, rowHeight, cell }) {
    pen.fillStyle = hpff.color('soft');
    pen.font = '12px system-ui, sans-serif';
    pen.textAlign = 'right';
    pen.textBaseline = 'middle';
    const every = Math.ceil(14 / rowHeight);
    rows.forEach(({ module }, i) => {
      if (i % every === 0) pen.fillText(String(module), LEFT - 8, TOP + (i + 0.5) * rowHeight);
    });
    pen.textAlign = 'center';
    const spacing = Math.max(1, Math.ceil(90 / cell));
    for (let j = 0; j < steps.length; j += spacing) {
      pen.fillText(hpff.stepText(steps[j]), LEFT + (j + 0.5) * cell, TOP + rows.length * rowHeight + 12);
    }
  }

  function legend(pen, { low, high }, height) {
    const size = 140;
    for (let i = 0; i < size; i++) {
      pen.fillStyle = hpff.ramp(i / (size - 1));
      pen.fillRect(LEFT + 46 + i, height - 14, 1.5, 10);
    }
    pen.fillStyle = hpff.color('soft');
    pen.textAlign = 'right';
    pen.fillText(hpff.short(low), LEFT + 40, height - 8);
    pen.textAlign = 'left';
    pen.fillText(hpff.short(high), LEFT + 46 + size + 8, height - 8);
  }

  /** From the 2nd to the 98th percentile, so that a few extremes do not hide the rest. */
  function scaleOf(rows, log) {
    const values = rows.flatMap((row) => row.values.filter((value) => value !== null && (!log || value > 0)));
    values.sort((a, b) => a - b);
    const at = (share) => values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? 0;
    const [low, high] = [at(0.02), at(0.98)];
    const to = log ? (value) => Math.log(Math.max(value, 1e-12)) : (value) => value;
    const span = to(high) - to(low) || 1;
    return { low, high, place: (value) => (to(value) - to(low)) / span };
  }
})();
