import { documentOf, type Document } from './document.ts';
import type { JsonObject } from './json.ts';
import { parseJson } from './parse-json.ts';
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
  /** Receipts of renders that it asks for are kept for at least so many days; 0: as the parent. */
  readonly receiptRetentionDays: number;
}

/**
 * The document of a tenant: `{parent, display_name, variables, capture_policy, receipt_retention_days}`, empty members
 * omitted.
 *
 * @param content empty members may be left out of it as well
 */
export function tenantDocument(content: Partial<TenantContent> & Pick<TenantContent, 'capturePolicy'>): Document {
  const { parent = '', displayName = '', variables = {}, capturePolicy, receiptRetentionDays = 0 } = content;
  return documentOf({
    ...(parent && { parent }),
    ...(displayName && { display_name: displayName }),
    ...(Object.keys(variables).length > 0 && { variables }),
    capture_policy: capturePolicy,
    ...(receiptRetentionDays > 0 && { receipt_retention_days: receiptRetentionDays }),
  });
}

/** The content that a tenant's document holds. */
export function parseTenantDocument(text: string): TenantContent {
  const document = parseJson(text) as {
    parent?: string;
    display_name?: string;
    variables?: JsonObject;
    capture_policy: CapturePolicy;
    receipt_retention_days?: number;
  };
  return {
    parent: document.parent ?? '',
    displayName: document.display_name ?? '',
    variables: document.variables ?? {},
    capturePolicy: document.capture_policy,
    receiptRetentionDays: document.receipt_retention_days ?? 0,
  };
}
