/* The time line of a pipeline: which task of which module ran when on each stage. Drag to move, wheel with Ctrl or the buttons to zoom. */
(() => {
  const { hpff } = globalThis;
  const LEFT = 130;
  const ROW = 26;
  const AXIS = 24;
  const FIRST_TASKS = 160;
  const COLORS = ['c0', 'c1', 'c3', 'c2', 'c4', 'c5', 'c6'];

  /** @returns a section, or null where there is no trace */
  hpff.timelineSection = ({ trace }) => {
    if (!trace || trace.tasks.length === 0) return null;
    const { tracks, phases, tasks, firstStep, lastStep, allSteps } = trace;
    const end = tasks.reduce((latest, [, , , , begin, duration]) => Math.max(latest, begin + duration), 0) || 1;
    const canvas = hpff.element('canvas', { tabIndex: 0 });
    const tip = hpff.element('div', { className: 'tip', hidden: true });
    const host = hpff.element('div', { className: 'canvas' }, canvas, tip);
    // A few steps are legible at first.
    const first = end * Math.min(1, FIRST_TASKS / tasks.length);
    const view = { from: (end - first) / 2, to: (end + first) / 2 };

    const draw = () => {
      const width = host.clientWidth;
      if (width === 0) return;
      const pen = hpff.pen(canvas, width, tracks.length * ROW + AXIS);
      const scale = (width - LEFT) / (view.to - view.from);
      const colors = phases.map((_, i) => hpff.color(COLORS[i % COLORS.length]));
      for (const [track, phase, module, , begin, duration] of tasks) {
        const x = Math.max(LEFT, LEFT + (begin - view.from) * scale);
        const right = LEFT + (begin + duration - view.from) * scale;
        if (right < LEFT || x > width) continue;
        pen.fillStyle = colors[phase];
        pen.fillRect(x, track * ROW + 3, Math.max(right - x - 0.5, 0.7), ROW - 6);
        if (right - x < 22) continue;
        pen.fillStyle = hpff.color('card');
        pen.font = '11px system-ui, sans-serif';
        pen.textBaseline = 'middle';
        pen.textAlign = 'center';
        pen.fillText(String(module), (x + right) / 2, (track + 0.5) * ROW);
      }
      names(pen, tracks);
      axis(pen, width, view, scale, tracks.length * ROW);
    };

    const zoom = (factor, at = (view.from + view.to) / 2) => {
      const span = Math.min(end, Math.max((view.to - view.from) * factor, end / 5000));
      const from = Math.min(Math.max(at - ((at - view.from) / (view.to - view.from)) * span, 0), end - span);
      Object.assign(view, { from, to: from + span });
      draw();
    };
    const timeAt = (x) => view.from + ((x - LEFT) / (host.clientWidth - LEFT)) * (view.to - view.from);
    const move = (time) => {
      const span = view.to - view.from;
      view.from = Math.min(Math.max(view.from + time, 0), end - span);
      view.to = view.from + span;
      draw();
    };
    canvas.addEventListener('wheel', (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event.offsetX));
    });
    canvas.addEventListener('pointermove', ({ offsetX, offsetY, buttons, movementX }) => {
      if (buttons & 1) move((-movementX / (host.clientWidth - LEFT)) * (view.to - view.from));
      const [time, track] = [timeAt(offsetX), Math.floor(offsetY / ROW)];
      const task = tasks.find(
        ([on, , , , begin, duration]) => on === track && begin <= time && time < begin + duration,
      );
      tip.hidden = task === undefined || offsetX < LEFT;
      if (tip.hidden) return;
      tip.textContent = `${phases[task[1]]} of module ${task[2]}, step ${task[3]}: ${hpff.short(task[5])} ms`;
      tip.style.left = `${Math.max(0, Math.min(offsetX + 12, host.clientWidth - 280))}px`;
      tip.style.top = `${offsetY + 14}px`;
    });
    canvas.addEventListener('pointerleave', () => (tip.hidden = true));
    canvas.addEventListener('keydown', ({ key }) => {
      const span = view.to - view.from;
      if (key === '+') zoom(0.6);
      else if (key === '-') zoom(1.6);
      else if (key === 'ArrowLeft') move(-span / 5);
      else if (key === 'ArrowRight') move(span / 5);
    });

    const button = (text, title, act) => {
      const made = hpff.element('button', { textContent: text, title });
      made.addEventListener('click', act);
      return made;
    };
    const legend = phases.map((phase, i) => {
      const swatch = hpff.element('span', { className: 'swatch' });
      swatch.style.background = `var(--${COLORS[i % COLORS.length]})`;
      return hpff.element('label', {}, swatch, phase);
    });
    const which = `steps ${hpff.stepText(firstStep)} to ${hpff.stepText(lastStep)}${lastStep - firstStep + 1 < allSteps ? ` of ${hpff.stepText(allSteps)}` : ''}`;
    const section = hpff.element(
      'section',
      {},
      hpff.element('h2', { textContent: 'Time line of the pipeline' }),
      hpff.element('p', {
        className: 'soft',
        textContent: `Tasks of each stage, ${which}; numbers are modules. A stage with nothing to run takes a task of another’s. Drag to move, Ctrl and wheel to zoom.`,
      }),
      hpff.element(
        'div',
        { className: 'bar' },
        ...legend,
        button('+', 'zoom in', () => zoom(0.5)),
        button('−', 'zoom out', () => zoom(2)),
        button('all', 'all of it', () => zoom(end)),
      ),
      host,
    );
    hpff.whenShown(section, () => {
      hpff.onWidth(host, draw);
      hpff.paint(draw);
    });
    return section;
  };

  function names(pen, tracks) {
    pen.textAlign = 'left';
    pen.textBaseline = 'middle';
    pen.font = '12px system-ui, sans-serif';
    tracks.forEach((name, i) => {
      pen.fillStyle = hpff.color('card');
      pen.fillRect(0, i * ROW, LEFT, ROW);
      pen.fillStyle = hpff.color('soft');
      pen.fillText(name.length > 20 ? `${name.slice(0, 19)}…` : name, 0, (i + 0.5) * ROW);
    });
  }

  function axis(pen, width, { from, to }, scale, y) {
    const most = Math.max(1, Math.floor((width - LEFT) / 110));
    const power = 10 ** Math.floor(Math.log10((to - from) / most));
    const every = [1, 2, 5, 10].map((digit) => digit * power).find((each) => (to - from) / each <= most);
    pen.fillStyle = hpff.color('soft');
    pen.textAlign = 'center';
    for (let time = Math.ceil(from / every) * every; time <= to; time += every) {
      const x = LEFT + (time - from) * scale;
      pen.fillRect(x, y, 1, 5);
      if (x < width - 30) pen.fillText(`${hpff.short(time)} ms`, Math.max(x, LEFT + 22), y + 14);
    }
  }
})();
