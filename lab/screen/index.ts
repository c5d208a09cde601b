export { kernelLinesOf } from './kernel-lines.ts';
export { commandsToTry, runLiveScreen } from './live-screen.ts';
export { type ScreenModel, renderScreen } from './render.ts';
