export { AuthFileError } from './auth-file-error.ts';
export type { AuthFile } from './auth-file.ts';
export { type AuthFiles, readUsersFile } from './load.ts';
export { GuardedEngine, permissionDenied } from './guarded-engine.ts';
export { Rights, noRights } from './rights.ts';
export { type Access, type Permission, type Role, permitKey, permitPrefix, permitRange, rootRole } from './role.ts';
export { type BuiltInUsers, type Identity, Users, type UsersDependencies, type UsersOptions } from './users.ts';
