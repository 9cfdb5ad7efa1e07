/* The page of a run: its charts, one after the other. */
(() => {
  const { hpff } = globalThis;
  const { data } = hpff;
  const { steps, stepsPerEpoch, evaluations } = data;
  const host = document.getElementById('charts');
  const colors = (name) => () => hpff.color(name);

  const percent = (share) => (share === null || share === undefined ? null : 100 * share);
  const mebibytes = (bytes) => (bytes === null ? null : bytes / 2 ** 20);
  const milliseconds = (seconds) => (seconds === null ? null : 1000 * seconds);

  /** A chart of its own in the grid. */
  const card = (title, note, describe, extras = []) => {
    const chart = hpff.element('div', { className: 'chart' });
    const heading = hpff.element('div', { className: 'bar' }, hpff.element('h2', { textContent: title }), ...extras);
    const section = hpff.element(
      'section',
      {},
      heading,
      hpff.element('p', { className: 'soft', textContent: note }),
      chart,
    );
    hpff.whenShown(section, () => (section.redraw = hpff.chart(chart, describe)));
    return section;
  };

  /** The mean over the groups of a bucket, and the range of the groups around it. */
  const ranged = ({ mean, low, high }, label, color, change = (value) => value) => [
    { label, values: mean.map(change), color, width: 2 },
    {
      label: 'highest',
      values: high.map(change),
      color: () => 'transparent',
      width: 0,
      className: 'thin',
      band: color,
    },
    { label: 'lowest', values: low.map(change), color: () => 'transparent', width: 0, className: 'thin' },
  ];

  const lossCard = () => {
    const log = hpff.element('input', { type: 'checkbox' });
    const final = data.losses.find(({ head }) => head.startsWith('final/'));
    const section = card(
      'Loss',
      final && data.losses.length > 1
        ? 'Weighted sum of all losses, and the loss of the network’s own classifier.'
        : 'In training.',
      () => ({
        x: steps,
        log: log.checked,
        series: [
          ...ranged(data.total, 'weighted sum', colors('c0')),
          ...(final && data.losses.length > 1
            ? [{ label: 'final classifier', values: final.values, color: colors('c1') }]
            : []),
        ],
      }),
      [hpff.element('label', {}, log, 'logarithmic')],
    );
    log.addEventListener('change', () => section.redraw());
    return section;
  };

  const evaluated = evaluations.map(({ step }) => step);
  const points = evaluations.length <= 60;
  const trained = evaluations.some(({ trainAccuracy }) => trainAccuracy !== null);
  const accuracyCard = () =>
    card(
      'Accuracy, %',
      trained ? 'Test images, and a sample of the training images without augmentation.' : 'Of the test images.',
      () => ({
        x: evaluated,
        series: [
          {
            label: 'test',
            values: evaluations.map(({ testAccuracy }) => percent(testAccuracy)),
            color: colors('c2'),
            width: 2,
            points,
          },
          ...(trained
            ? [
                {
                  label: 'training',
                  values: evaluations.map(({ trainAccuracy }) => percent(trainAccuracy)),
                  color: colors('c7'),
                  dash: [5, 4],
                  points,
                },
              ]
            : []),
        ],
        format: (value) => String(Number(value.toFixed(2))),
      }),
    );
  const testLossCard = () =>
    card('Test loss', 'Mean cross-entropy.', () => ({
      x: evaluated,
      series: [
        {
          label: 'test loss',
          values: evaluations.map(({ testLoss }) => testLoss),
          color: colors('c1'),
          width: 2,
          points,
        },
      ],
    }));

  const rateCard = () =>
    card('Learning rate', stepsPerEpoch ? `An epoch has ${hpff.stepText(stepsPerEpoch)} steps.` : '', () => ({
      x: steps,
      series: [{ label: 'learning rate', values: data.learningRate, color: colors('c3') }],
    }));

  const timeCard = () => {
    const long = data.stepSeconds.mean.some((seconds) => seconds > 2);
    const change = long ? (seconds) => seconds : milliseconds;
    return card(
      `Time of a step, ${long ? 's' : 'ms'}`,
      'Mean, and the range of groups of steps; evaluations and checkpoints left out.',
      () => ({ x: steps, series: ranged(data.stepSeconds, 'a step', colors('c6'), change) }),
    );
  };

  const has = (values) => values.some((value) => value !== null);
  const memoryCard = () =>
    card('Memory of the process, MiB', 'Resident memory now, and its peak so far.', () => ({
      x: steps,
      series: [
        ...(has(data.resident)
          ? [{ label: 'resident', values: data.resident.map(mebibytes), color: colors('c0') }]
          : []),
        { label: 'peak', values: data.peak.map(mebibytes), color: colors('c5'), dash: [5, 4] },
      ],
      format: (value) => value.toFixed(0),
    }));

  const cards = [];
  if (steps.length > 0) cards.push(lossCard());
  if (evaluations.length > 0) cards.push(accuracyCard(), testLossCard());
  if (has(data.learningRate)) cards.push(rateCard());
  if (has(data.stepSeconds.mean)) cards.push(timeCard());
  if (has(data.peak)) cards.push(memoryCard());
  const sections = [hpff.moduleSection(data), hpff.stageSection(data), hpff.timelineSection(data)];
  host.append(hpff.element('div', { className: 'grid' }, ...cards), ...sections.filter((section) => section !== null));
  hpff.showAll();
  document.documentElement.dataset.ready = 'true';
})();
