/** Long series of numbers in few buckets, without knowing beforehand how long they are. */

/** How the numbers that fall into a bucket become one: `mean` weighs them, by steps; `range` also keeps the least and the greatest. */
export type Fold = 'mean' | 'range' | 'sum' | 'max' | 'last';

interface Sums {
  readonly fold: Fold;
  readonly values: Float64Array;
  /** Sum of the weights; 0 where the bucket has no number. */
  readonly weights: Float64Array;
  readonly lows?: Float64Array;
  readonly highs?: Float64Array;
}

export interface Folded {
  /** A number for each bucket, null where it has none. */
  readonly values: readonly (number | null)[];
  /** Of the fold `range`. */
  readonly lows?: readonly (number | null)[];
  readonly highs?: readonly (number | null)[];
}

/**
 * Rows come in the order of steps. Each bucket takes as many rows as all others but the last; when there are too many buckets, each takes twice as
 * many, and two and two become one. Memory is bounded by the most buckets times the series.
 */
export class Buckets {
  private readonly series = new Map<string, Sums>();
  private readonly lastSteps: Float64Array;
  private used = 0;
  private rowsEach = 1;
  private rowsInLast = 0;

  /** @param most buckets, an even number; there are at least half as many unless there are fewer rows */
  constructor(private readonly most: number) {
    this.lastSteps = new Float64Array(most);
  }

  /** Begins a row, to which the numbers that are added next belong. */
  row(step: number): void {
    if (this.used === 0 || this.rowsInLast === this.rowsEach) {
      if (this.used === this.most) this.halve();
      this.used++;
      this.rowsInLast = 0;
    }
    this.rowsInLast++;
    this.lastSteps[this.used - 1] = step;
  }

  /** @param weight of the number in a mean; numbers that are not finite do not count */
  add(name: string, value: number, weight: number, fold: Fold = 'mean'): void {
    if (!Number.isFinite(value)) return;
    const series = this.series.get(name) ?? this.begin(name, fold);
    const { values, weights, lows, highs } = series;
    const i = this.used - 1;
    const first = weights[i] === 0;
    const held = values[i]!;
    if (series.fold === 'mean' || series.fold === 'range') values[i] = held + weight * value;
    else if (series.fold === 'sum') values[i] = held + value;
    else if (series.fold === 'max') values[i] = first ? value : Math.max(held, value);
    else values[i] = value;
    weights[i]! += weight;
    if (!lows || !highs) return;
    lows[i] = first ? value : Math.min(lows[i]!, value);
    highs[i] = first ? value : Math.max(highs[i]!, value);
  }

  /** The last step of each bucket. */
  steps(): number[] {
    return [...this.lastSteps.subarray(0, this.used)];
  }

  /** Names of the series, in the order in which they began. */
  names(): string[] {
    return [...this.series.keys()];
  }

  get(name: string): Folded {
    const series = this.series.get(name);
    const all = Array.from({ length: this.used }, (_, i) => i);
    if (!series) return { values: all.map(() => null) };
    const { fold, values, weights, lows, highs } = series;
    const pick = (from: Float64Array): (number | null)[] => all.map((i) => (weights[i]! > 0 ? from[i]! : null));
    if (fold === 'mean') return { values: all.map((i) => (weights[i]! > 0 ? values[i]! / weights[i]! : null)) };
    if (!lows || !highs) return { values: pick(values) };
    return {
      values: all.map((i) => (weights[i]! > 0 ? values[i]! / weights[i]! : null)),
      lows: pick(lows),
      highs: pick(highs),
    };
  }

  private begin(name: string, fold: Fold): Sums {
    const empty = (): Float64Array => new Float64Array(this.most);
    const range = fold === 'range' ? { lows: empty(), highs: empty() } : {};
    const series = { fold, values: empty(), weights: empty(), ...range };
    this.series.set(name, series);
    return series;
  }

  /** Makes one of two and two. All are full, and there is an even number of them. */
  private halve(): void {
    const half = this.most / 2;
    for (let i = 0; i < half; i++) this.lastSteps[i] = this.lastSteps[2 * i + 1]!;
    for (const series of this.series.values()) halveSeries(series, half);
    this.used = half;
    this.rowsEach *= 2;
  }
}

function halveSeries({ fold, values, weights, lows, highs }: Sums, half: number): void {
  for (let i = 0; i < half; i++) {
    const [a, b] = [2 * i, 2 * i + 1];
    const [inA, inB] = [weights[a]! > 0, weights[b]! > 0];
    if (fold === 'max') values[i] = inA && inB ? Math.max(values[a]!, values[b]!) : values[inA ? a : b]!;
    else if (fold === 'last') values[i] = values[inB ? b : a]!;
    else values[i] = values[a]! + values[b]!;
    if (lows) lows[i] = inA && inB ? Math.min(lows[a]!, lows[b]!) : lows[inA ? a : b]!;
    if (highs) highs[i] = inA && inB ? Math.max(highs[a]!, highs[b]!) : highs[inA ? a : b]!;
    weights[i] = weights[a]! + weights[b]!;
  }
  for (const array of [values, weights, lows, highs]) array?.fill(0, half);
}
