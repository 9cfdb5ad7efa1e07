/* What the stages of a pipeline did with their time. */
(() => {
  const { hpff } = globalThis;

  /** @returns a section, or null where there are no stages */
  hpff.stageSection = ({ steps, stages }) => {
    if (stages.length === 0) return null;
    const shares = hpff.element('div', { className: 'stages' });
    stages.forEach((stage, i) => shares.append(...row(stage, i)));
    const chart = hpff.element('div', { className: 'chart' });
    const section = hpff.element(
      'section',
      {},
      hpff.element('h2', { textContent: 'Stages of the pipeline' }),
      hpff.element('p', {
        className: 'soft',
        textContent: 'Share of the time in which a stage computed: over the whole run, and over steps, in %.',
      }),
      shares,
      chart,
    );
    hpff.whenShown(section, () =>
      hpff.chart(chart, () => ({
        x: steps,
        series: stages.map(({ busy }, i) => ({
          label: `stage ${i} busy`,
          values: busy.map(percent),
          color: () => colorOf(i, stages.length),
        })),
        format: (value) => `${Number(value.toFixed(1))}`,
        range: () => [0, 100],
      })),
    );
    return section;
  };

  const percent = (share) => (share === null ? null : 100 * share);

  const colorOf = (index, count) => (count > 8 ? hpff.ramp(index / (count - 1)) : hpff.seriesColor(index));

  function row({ modules, busySeconds, waitingSeconds, transferSeconds }, index) {
    const all = busySeconds + waitingSeconds || 1;
    const names = modules.length === 1 ? `module ${modules[0]}` : `modules ${modules[0]}–${modules.at(-1)}`;
    const filled = hpff.element('i');
    filled.style.width = `${(100 * busySeconds) / all}%`;
    const share = (seconds) => `${((100 * seconds) / all).toFixed(1)} %`;
    const sent = transferSeconds > 0 ? `, sending ${share(transferSeconds)}` : '';
    return [
      hpff.element('span', { textContent: `stage ${index} (${names})` }),
      hpff.element('div', { className: 'share' }, filled),
      hpff.element('span', { textContent: `busy ${share(busySeconds)}, waiting ${share(waitingSeconds)}${sent}` }),
    ];
  }
})();
