/** The page: starts the worker that trains, and shows what it tells. */
const element = (id) => document.getElementById(id);

const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });

element('start').onclick = () => {
  element('epochs').textContent = '';
  element('start').disabled = true;
  element('stop').disabled = false;
  worker.postMessage('start');
};
element('stop').onclick = () => worker.postMessage('stop');

worker.onmessage = ({ data }) => tell[data.event](data);
worker.onerror = ({ message }) => tell.error({ message });

const tell = {
  step({ step, totalSteps, total, imagesPerSecond }) {
    Object.assign(element('progress'), { value: step, max: totalSteps });
    element('step').textContent =
      `step ${step} of ${totalSteps}, loss ${total.toFixed(3)}, ${Math.round(imagesPerSecond)} images/s`;
  },
  epoch({ epoch, testAccuracy, testLoss }) {
    element('epochs').textContent +=
      `epoch ${epoch}: accuracy ${(100 * testAccuracy).toFixed(1)} %, loss ${testLoss.toFixed(3)}\n`;
  },
  done({ model, testAccuracy }) {
    element('stop').disabled = true;
    element('start').disabled = false;
    element('model').href = URL.createObjectURL(new Blob([model]));
    element('model').hidden = false;
    document.documentElement.dataset.outcome = testAccuracy === null ? 'stopped' : String(testAccuracy);
  },
  error({ message }) {
    element('step').textContent = message;
    element('stop').disabled = true;
    element('start').disabled = false;
    document.documentElement.dataset.outcome = message;
  },
};
