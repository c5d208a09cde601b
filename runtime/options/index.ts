export {
  type HostPort,
  type OptionSpec,
  type OptionSpecs,
  type OptionValues,
  defineOptions,
  environmentName,
} from './spec.ts';
export { type ParseInput, type Parsed, parseOptions } from './parse.ts';
export { type OptionHelp, optionHelp } from './help.ts';
export { UsageError } from './usage-error.ts';
export { closest } from './closest.ts';
export { formatHostPort, parseDuration, parseHostPort, shownArgument } from './values.ts';
