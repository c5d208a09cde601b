export { commandsToTry, kernelLinesOf, runLiveScreen } from './live-screen.ts';
export { type ScreenModel, renderScreen } from './render.ts';
