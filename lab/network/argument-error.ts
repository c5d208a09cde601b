/** What somebody asked of a running lab cannot be meant: it names nothing there, or not here. */
export class LabArgumentError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'LabArgumentError';
  }
}
