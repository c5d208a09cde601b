/** Every number of the range stands for some text, or rests after having done so. */
export class RangeExhaustedError extends Error {
  readonly code = 'ALLOCATOR_RANGE_EXHAUSTED';
  readonly min: number;
  readonly max: number;

  constructor(min: number, max: number) {
    super(`No free number is left from ${min} to ${max}`);
    this.name = 'RangeExhaustedError';
    this.min = min;
    this.max = max;
  }
}
