/** Where a run's metrics go: metrics.jsonl and a TensorBoard event file. */
import { type MetricsEvent, stageShares } from './events.js';
import { MetricsFile, truncateMetrics, type MetricsReach } from './metrics.js';
import { metricsPath } from './run-folder.js';
import { EventFile, type Scalars } from './tensorboard.js';

export class RunRecorder {
  private constructor(
    private readonly metrics: MetricsFile,
    private readonly events: EventFile,
  ) {}

  /**
   * Goes on where a checkpoint ends: what was recorded after it is dropped.
   * @throws InputError as `truncateMetrics` and `writeFileAtomic`
   */
  static async open(folder: string, reach: MetricsReach): Promise<RunRecorder> {
    await truncateMetrics(metricsPath(folder), reach);
    const metrics = await MetricsFile.open(metricsPath(folder));
    try {
      return new RunRecorder(metrics, await EventFile.create(folder, reach.step));
    } catch (error) {
      await metrics.close();
      throw error;
    }
  }

  async record(event: MetricsEvent): Promise<void> {
    await this.metrics.append(event);
    await this.events.write(event.step, scalarsOf(event));
  }

  /** Waits until the metrics are on the disk. */
  async sync(): Promise<void> {
    await this.metrics.sync();
  }

  async close(): Promise<void> {
    await this.metrics.close();
    await this.events.close();
  }
}

function scalarsOf(event: MetricsEvent): Scalars {
  if (event.event === 'skipped') return {};
  if (event.event !== 'step') {
    const { testAccuracy, testLoss, trainAccuracy } = event;
    const test = { 'test/accuracy': testAccuracy, 'test/loss': testLoss };
    return trainAccuracy === undefined ? test : { ...test, 'train/accuracy': trainAccuracy };
  }
  const {
    losses,
    total,
    learningRate,
    imagesPerSecond,
    stepSeconds,
    dataSeconds,
    peakBytes,
    residentBytes,
    stages = [],
  } = event;
  return {
    'loss/total': total,
    ...Object.fromEntries(Object.entries(losses).map(([name, loss]) => [`loss/${name}`, loss])),
    learning_rate: learningRate,
    ...(imagesPerSecond === null ? {} : { 'speed/images_per_second': imagesPerSecond }),
    ...(stepSeconds === null ? {} : { 'speed/step_seconds': stepSeconds }),
    ...(dataSeconds === null ? {} : { 'speed/data_seconds': dataSeconds }),
    'memory/peak_bytes': peakBytes,
    'memory/resident_bytes': residentBytes,
    ...Object.fromEntries(
      stages.flatMap((times, i) =>
        Object.entries(stageShares(times)).map(([what, share]) => [`stage/${i}/${what}`, share]),
      ),
    ),
  };
}
