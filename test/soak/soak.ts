export interface Soak {
  readonly name: string;
  readonly title: string;
  /** True when it found nothing wrong. */
  readonly run: (print: (line: string) => void) => Promise<boolean>;
}
