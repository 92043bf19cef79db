/** Failures in the form of the Kubernetes API: a metav1.Status with code, reason and message. */
import type { ResourceDefinition } from '../schema/resource.ts';

export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: object | undefined;

  constructor(code: number, reason: string, message: string, details?: object) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.reason = reason;
    this.details = details;
  }
}

/** Returns the body of an error response. */
export function statusOf(error: ApiError): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: error.message,
    reason: error.reason,
    ...(error.details ? { details: error.details } : {}),
    code: error.code,
  };
}

function resourceName(definition: ResourceDefinition): string {
  return definition.group === '' ? definition.plural : `${definition.plural}.${definition.group}`;
}

function detailsOf(definition: ResourceDefinition, name: string): object {
  return { name, group: definition.group, kind: definition.plural };
}

export const notFound = (definition: ResourceDefinition, name: string) =>
  new ApiError(
    404,
    'NotFound',
    `${resourceName(definition)} "${name}" not found`,
    detailsOf(definition, name),
  );

export const alreadyExists = (definition: ResourceDefinition, name: string) =>
  new ApiError(
    409,
    'AlreadyExists',
    `${resourceName(definition)} "${name}" already exists`,
    detailsOf(definition, name),
  );

export const conflict = (definition: ResourceDefinition, name: string, why: string) =>
  new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${resourceName(definition)} "${name}": ${why}`,
    detailsOf(definition, name),
  );

export const badRequest = (message: string) => new ApiError(400, 'BadRequest', message);

export const expired = (message: string) => new ApiError(410, 'Expired', message);
