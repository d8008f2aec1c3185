import { documentOf, type Document } from './document.ts';
import type { JsonObject } from './json.ts';
import type { CapturePolicy } from './prompt-type.ts';

/** The root of the tree of tenants; an empty tenant in a request means this one (spec section 1). */
export const ROOT_TENANT = 'default';

/** What UpdateTenant replaces. */
export interface TenantContent {
  /** Empty for the root. */
  readonly parent: string;
  readonly displayName: string;
  readonly variables: JsonObject;
  readonly capturePolicy: CapturePolicy;
}

/** The document of a tenant: `{parent, display_name, variables, capture_policy}`, empty members omitted. */
export function tenantDocument(content: TenantContent): Document {
  return documentOf({
    ...(content.parent && { parent: content.parent }),
    ...(content.displayName && { display_name: content.displayName }),
    ...(Object.keys(content.variables).length > 0 && { variables: content.variables }),
    capture_policy: content.capturePolicy,
  });
}

/** The content that a tenant's document holds. */
export function parseTenantDocument(text: string): TenantContent {
  const document = JSON.parse(text) as {
    parent?: string;
    display_name?: string;
    variables?: JsonObject;
    capture_policy: CapturePolicy;
  };
  return {
    parent: document.parent ?? '',
    displayName: document.display_name ?? '',
    variables: document.variables ?? {},
    capturePolicy: document.capture_policy,
  };
}
