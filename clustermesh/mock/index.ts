export { type MockFault, mockFaults } from './faults.ts';
export { type MockCounts, MockMesh, type MockMeshDeps, type MockMeshOptions, mockClusterName } from './mock-mesh.ts';
export { type MockShape, defaultMockShape } from './shape.ts';
