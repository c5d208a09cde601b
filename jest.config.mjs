const swc = {
  jsc: { target: 'esnext', parser: { syntax: 'typescript', explicitResourceManagement: true } },
  module: { type: 'es6' },
};
const project = (name) => ({
  displayName: name,
  testEnvironment: '<rootDir>/test/support/environment.mjs',
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['@swc/jest', swc] },
});
export default {
  projects: ['unit', 'contract', 'integration', 'guest'].map(project),
  coverageProvider: 'v8',
  reporters: ['default', '<rootDir>/test/support/reporter.mjs'],
  // A hang guard for a busy machine, not a bound that any test checks.
  testTimeout: 60_000,
};
