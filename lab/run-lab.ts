import { mkdir, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import {
  cgroupRoot,
  checkPeerUid,
  deleteNamespace,
  probeKernel,
  removeCgroup,
  requireFeatures,
  unmountBpffs,
} from '../kernel/index.ts';
import type { Logger } from '../runtime/log/index.ts';
import { abortReason, linkedController } from '../runtime/tasks/index.ts';
import { checkConnectivity, checkFailover, checkServices, surveyServices, unasked } from './checks/index.ts';
import { binary } from './as-typed.ts';
import { serveControl } from './control/index.ts';
import { Lab } from './lab.ts';
import { isLabName, requireUnmade } from './network/index.ts';
import { type LabPlan, type LabPlanInput, planLab } from './plan/index.ts';
import { type LabReport, clusterReports } from './report/index.ts';
import {
  type Cleaner,
  cleanLab,
  isLive,
  labPaths,
  makePrivateDirectory,
  readLabState,
  requireSocketPaths,
  takeOver,
} from './state/index.ts';
import { type LabStoreKind, findStoreBinary } from './stores/index.ts';
import { type LabSubstrate, LinuxSubstrate, MemorySubstrate } from './substrate/index.ts';

export interface RunLabOptions extends LabPlanInput {
  readonly kernel: 'linux' | 'memory';
  readonly tcMode: 'auto' | 'tcx' | 'clsact';
  /** Where every cluster keeps its records at first. */
  readonly store: LabStoreKind;
  readonly log: Logger;
  readonly logLevel: string;
  /** One line for each step. */
  readonly onProgress: (line: string) => void;
}

/** Longer than any step of a lab takes that goes on after it was asked to end. */
const patienceMs = 10_000;

/** Whoever is not us may not ask; elsewhere than on Linux the modes of directory and socket protect alone. */
const peerCheck = process.platform === 'linux' ? { checkPeer: checkPeerUid } : {};

/** A lab of this name is running already. */
export class LabIsLiveError extends Error {
  constructor(name: string) {
    super(`Lab ${name} is running already; end it with: ${binary} lab down --name ${name}`);
    this.name = 'LabIsLiveError';
  }
}

/** A lab's name that cannot serve as part of namespace names. */
export class LabNameError extends Error {
  constructor(name: string) {
    super(`Lab name ${JSON.stringify(name)}: expected 1–20 lower-case letters, digits and dashes`);
    this.name = 'LabNameError';
  }
}

/**
 * Brings a lab up, lets `use` work with it, and takes everything down again, whatever happened. Settles with what `use`
 * gave and the time that taking down took. `use` is told by its signal when somebody asked the lab to end.
 */
export async function withLab<T>(
  options: RunLabOptions,
  signal: AbortSignal,
  use: (lab: Lab, signal: AbortSignal) => Promise<T>,
): Promise<{ readonly result: T; readonly downMs: number }> {
  if (options.store !== 'embedded') findStoreBinary(options.store);
  const plan = await planLab(options);
  requireSocketPaths(labPaths(options.name), plan.topology.clusters);
  // Before anything is made: what this kernel lacks is said by its name, not by whatever fails of it first.
  if (options.kernel === 'linux') requireFeatures(await probeKernel());
  await claimName(options);
  using ending = linkedController(signal);
  let downStarted = 0;
  let result: T;
  try {
    const lab = createLab(plan, options);
    requireUnmade(lab.substrate.resources().namespaces);
    try {
      await unlessHung(lab.up(ending.signal), ending.signal);
      await using control = await serveControl({
        lab,
        log: options.log,
        ...peerCheck,
        onDown: () => ending.abort(new DOMException('The lab was asked to end', 'AbortError')),
      });
      void control;
      result = await unlessHung(use(lab, ending.signal), ending.signal);
    } finally {
      downStarted = performance.now();
      await lab[Symbol.asyncDispose]();
    }
  } finally {
    await removeLab(options.name, options.kernel);
  }
  return { result, downMs: performance.now() - downStarted };
}

/**
 * What `work` gives. When the signal aborts it may end in its own time, but not wait for ever for a process of the lab that
 * hangs. @throws the signal's reason then.
 */
async function unlessHung<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const hung = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    timer = setTimeout(() => hung.reject(abortReason(signal)), patienceMs);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, hung.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

/** Checks everything once: state, every pair of pods, every Service, failover of every global Service. */
export async function checkLab(lab: Lab, signal: AbortSignal): Promise<LabReport> {
  const { plan, substrate } = lab;
  const names = plan.topology.clusters.map((cluster) => cluster.name);
  const pods = lab.runningPods();
  const surveyed = surveyServices({ ...plan, pods, clusters: names });
  const targets = surveyed.flatMap((service) => ('target' in service ? [service.target] : []));
  const idle = { pairs: 0, ok: 0, failed: [], strayPackets: 0 };
  const connectivity = substrate.sendsPackets ? await checkConnectivity(substrate, pods) : idle;
  const services = substrate.sendsPackets
    ? await checkServices(substrate, surveyed, pods)
    : surveyed.map((service) => unasked(service, 'no packet is sent by an in-memory kernel'));
  signal.throwIfAborted();
  const failover = substrate.sendsPackets ? await checkFailover(substrate, lab, targets, pods, signal) : [];
  const strayPackets = await substrate.strayPackets();
  const clusters = await clusterReports(lab.paths, plan.topology, signal);
  // What was interrupted found nothing out: processes that were not asked any more are no problem of the lab.
  signal.throwIfAborted();
  return {
    clusters,
    connectivity: { ...connectivity, strayPackets },
    services,
    failover,
    timings: {
      upMs: Math.round(lab.upMs),
      firstCrossClusterMs: lab.firstCrossClusterMs === null ? null : Math.round(lab.firstCrossClusterMs),
      downMs: 0,
    },
    kernel: substrate.sendsPackets ? 'linux' : 'memory',
    problems: [
      ...clusters
        .filter((cluster) => cluster.state !== 'ready')
        .map((cluster) => `cluster ${cluster.name}: ${cluster.state}`),
      ...lab
        .children()
        .filter(({ restarts }) => restarts > 0)
        .map(({ process, restarts }) => `${process.role} had to be started again ${restarts} times`),
    ],
    warnings: plan.warnings,
  };
}

/**
 * Ends a lab that is dead already: removes what its state file lists. False when there is nothing of that name.
 * @throws {LabIsLiveError} when it lives (again), or somebody else is cleaning it.
 */
export async function cleanDead(name: string): Promise<boolean> {
  if (!readLabState(name)) return false;
  if (!takeOver(name)) throw new LabIsLiveError(name);
  await removeLab(name);
  return true;
}

/** Makes the lab's directory, which is the claim on its name; cleans what a dead lab of that name left. */
async function claimName({ name, onProgress }: RunLabOptions): Promise<void> {
  if (!isLabName(name)) throw new LabNameError(name);
  const { directory } = labPaths(name);
  await makePrivateDirectory(dirname(dirname(directory)));
  await makePrivateDirectory(dirname(directory));
  const claim = (): Promise<boolean> =>
    mkdir(directory, { mode: 0o700 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false;
        throw error;
      },
    );
  if (await claim()) return;
  const state = readLabState(name);
  if (state ? isLive(state) : await isFresh(directory)) throw new LabIsLiveError(name);
  onProgress(`cleaning what the dead lab ${name} left`);
  if (state && !takeOver(name)) throw new LabIsLiveError(name);
  await removeLab(name);
  if (!(await claim())) throw new LabIsLiveError(name);
}

/** Removes what this process's lab made, or one that it took over; also a directory that a lab claimed and never wrote its state into. */
async function removeLab(name: string, kernel?: 'linux' | 'memory'): Promise<void> {
  const state = readLabState(name);
  const cleaner: Cleaner = { deleteNamespace, removeCgroup, unmountBpffs };
  if (state) await cleanLab(state, (kernel ?? state.kernel) === 'linux' ? cleaner : undefined);
  else await rm(labPaths(name).directory, { recursive: true, force: true });
}

/** A directory without a state file is somebody who has just begun, unless it is old: then somebody died that early. */
async function isFresh(directory: string): Promise<boolean> {
  return Date.now() - (await stat(directory)).mtimeMs < 5000;
}

function createLab(plan: LabPlan, options: RunLabOptions): Lab {
  const made: { lab?: Lab } = {};
  const substrate: LabSubstrate =
    options.kernel === 'memory'
      ? new MemorySubstrate(plan)
      : new LinuxSubstrate({
          plan,
          paths: labPaths(plan.name),
          cgroupRoot: cgroupRoot(),
          tcMode: options.tcMode,
          log: options.log,
          keepRunning: (child, onStart) => made.lab?.keepRunning(child, onStart),
        });
  made.lab = new Lab({
    plan,
    kernel: options.kernel,
    substrate,
    store: options.store,
    log: options.log,
    ...peerCheck,
    logLevel: options.logLevel,
    onProgress: options.onProgress,
  });
  return made.lab;
}
