import { ROOT_TENANT } from '../../domain/tenant.ts';
import type { Writes } from '../../services/stores.ts';
import type { TenantService } from '../../services/tenant-service.ts';
import { TenantService as TenantRpc } from '../../../gen/platen/v1/tenant_service_pb.js';
import { readTenant, writeTenant } from '../mapping/tenant.ts';
import { serve, type ServedService } from '../method.ts';
import { mutation } from '../mutation.ts';
import { BY_ID, fetchPage, listing } from '../pagination.ts';

/** The handlers of TenantService. */
export function tenantHandlers(writes: Writes, tenants: TenantService): ServedService {
  const { method } = TenantRpc;
  return serve(TenantRpc, {
    createTenant: mutation(writes, method.createTenant, (violations, request) => {
      const input = readTenant(violations, request.tenant, request);
      return async (tx) => {
        const { tenant, seq } = await tenants.create(tx, input);
        return { tenant: writeTenant(tenant), seq: BigInt(seq) };
      };
    }),

    getTenant: async (_context, request) => ({
      tenant: writeTenant(await tenants.get(request.tenant || ROOT_TENANT)),
    }),

    listTenants: listing(method.listTenants, BY_ID, () => async (page) => {
      const { items, nextPageToken } = await fetchPage(
        page,
        (after, limit) => tenants.list(after, limit),
        (record) => record.tenant,
      );
      return { tenants: items.map(writeTenant), nextPageToken };
    }),

    updateTenant: mutation(writes, method.updateTenant, (violations, request) => {
      const { editVersion } = request;
      const input = { ...readTenant(violations, request.tenant || ROOT_TENANT, request), editVersion };
      return async (tx) => {
        const { tenant, seq } = await tenants.update(tx, input);
        return { tenant: writeTenant(tenant), seq: BigInt(seq) };
      };
    }),
  });
}
