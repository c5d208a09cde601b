import { beforeAll, describe, jest, test } from '@jest/globals';
import { builtBinary } from '../../../support/built-binary.ts';
import { etcdBinary } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { openScene } from './scene.ts';
import { stageCases } from './stage-cases.ts';
import { embeddedSubject, etcdSubject } from './subjects.ts';

jest.setTimeout(120_000);

describe('the etcd client before the embedded store', () => {
  stageCases((options) => openScene(embeddedSubject, options), test);
});

needs('etcd')('the etcd client before etcd 3.6', () => {
  beforeAll(() => builtBinary(etcdBinary), 600_000);
  stageCases((options) => openScene(etcdSubject, options), test);
});
