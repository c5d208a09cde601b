import Runner from 'jest-runner';

/**
 * Runs its test files one at a time, before or after all others and never beside them: those that load eBPF into the
 * kernel, boot a guest or bring up a whole lab, on machines of two cores.
 */
export default class SerialRunner extends Runner {
  isSerial = true;
}
