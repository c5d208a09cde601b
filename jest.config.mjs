const swc = {
  jsc: { target: 'esnext', parser: { syntax: 'typescript', explicitResourceManagement: true } },
  module: { type: 'es6' },
};
const project = (name, ignored, more) => ({
  displayName: name,
  testEnvironment: '<rootDir>/test/support/environment.mjs',
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  testPathIgnorePatterns: [`<rootDir>/test/${ignored}`],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['@swc/jest', swc] },
  ...more,
});

// What loads eBPF into the kernel, boots a guest or brings up a lab has the machine to itself; all else waits more than it
// works and runs two files at a time.
const alone = '(contract/(drivers|kernel)|integration/(datapath|kernel|lab)|guest)/';
const together = (name) => project(name, alone);
const oneByOne = (name) => project(name, `(?!${alone})`, { runner: '<rootDir>/test/support/serial-runner.mjs' });

export default {
  projects: [
    ...['unit', 'contract', 'integration'].map(together),
    ...['contract', 'integration', 'guest'].map(oneByOne),
  ],
  maxWorkers: 2,
  coverageProvider: 'v8',
  reporters: ['default', '<rootDir>/test/support/reporter.mjs'],
  // A hang guard for a busy machine, not a bound that any test checks.
  testTimeout: 60_000,
};
