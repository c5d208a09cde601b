export { clusterReports } from './mesh-status.ts';
export {
  type ClusterReport,
  type ConnectivityReport,
  type FailoverReport,
  type LabReport,
  type ServiceReport,
  isHealthy,
} from './report.ts';
export { heartbeatText, reportText } from './report-text.ts';
export { textTable } from './text-table.ts';
