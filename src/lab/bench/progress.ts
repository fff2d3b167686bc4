/** How far a run is, in seconds of planned work; the time left follows from how long the work so far has really taken. */

export interface ProgressState {
  readonly what: string;
  readonly fraction: number;
  /** null: nothing done yet to tell from. */
  readonly leftSeconds: number | null;
}

export class Progress {
  readonly #plannedSeconds: number;
  readonly #nowMs: () => number;
  readonly #startMs: number;
  readonly #show: (state: ProgressState) => void;
  #doneSeconds = 0;

  constructor(
    plannedSeconds: number,
    show: (state: ProgressState) => void,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#plannedSeconds = plannedSeconds;
    this.#show = show;
    this.#nowMs = nowMs;
    this.#startMs = nowMs();
  }

  tell(what: string): void {
    const fraction = this.#plannedSeconds > 0 ? Math.min(this.#doneSeconds / this.#plannedSeconds, 1) : 1;
    const tookSeconds = (this.#nowMs() - this.#startMs) / 1000;
    const leftSeconds = fraction === 0 ? null : (tookSeconds / fraction) * (1 - fraction);
    this.#show({ what, fraction, leftSeconds });
  }

  done(plannedSeconds: number): void {
    this.#doneSeconds += plannedSeconds;
  }
}
