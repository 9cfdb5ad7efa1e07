/* The page of a comparison: test accuracy over training, of each recipe. */
(() => {
  const { hpff } = globalThis;
  const { recipes } = hpff.data;
  const host = document.getElementById('curves');
  const steps = [...new Set(recipes.flatMap(({ runs }) => runs.flatMap(({ curve }) => curve.map(([step]) => step))))];
  steps.sort((a, b) => a - b);

  const series = recipes.flatMap(({ name, runs }, i) => {
    const color = () => hpff.seriesColor(i);
    const accuracies = runs.map(({ curve }) => new Map(curve));
    const started = accuracies.filter(({ size }) => size > 0);
    if (started.length === 0) return [];
    const all = {
      label: name,
      values: steps.map((step) => mean(started, step)),
      color,
      width: 2.2,
      points: steps.length < 40,
    };
    if (started.length === 1) return [all];
    const thin = started.map((each) => ({
      label: name,
      values: steps.map((step) => percent(each.get(step))),
      color: () => `color-mix(in srgb, ${color()} 40%, transparent)`,
      width: 1,
      className: 'thin',
    }));
    return [...thin, all];
  });

  /** Over the runs; nothing where one has no value. */
  function mean(runs, step) {
    const values = runs.flatMap((run) => run.get(step) ?? []);
    return values.length === runs.length ? percent(values.reduce((sum, value) => sum + value, 0) / runs.length) : null;
  }

  function percent(share) {
    return share === undefined ? null : 100 * share;
  }

  if (series.length === 0) host.textContent = 'No run has been evaluated yet.';
  else {
    hpff.chart(host, () => ({ x: steps, series, height: 340, format: (value) => value.toFixed(2) }));
  }
  document.documentElement.dataset.ready = 'true';
})();
