import { ActivationEntity } from './activation.ts';
import { BundleReferenceEntity } from './bundle-reference.ts';
import { BundleVersionPinEntity } from './bundle-version-pin.ts';
import { BundleVersionEntity } from './bundle-version.ts';
import { BundleEntity } from './bundle.ts';
import { ChangeHeadEntity } from './change-head.ts';
import { ChangeEntity } from './change.ts';
import { ChannelEntity } from './channel.ts';
import { DocumentEntity } from './document.ts';
import { ErasureEntity } from './erasure.ts';
import { ReceiptPayloadStrayEntity } from './receipt-payload-stray.ts';
import { ReceiptPayloadEntity } from './receipt-payload.ts';
import { ReceiptStrayEntity } from './receipt-stray.ts';
import { ReceiptEntity } from './receipt.ts';
import { ReleaseEntity } from './release.ts';
import { RequestEntity } from './request.ts';
import { TemplateVersionEntity } from './template-version.ts';
import { TemplateEntity } from './template.ts';
import { TenantEntity } from './tenant.ts';

/** Every table that the server maps. */
export const ENTITIES = [
  DocumentEntity,
  TenantEntity,
  TemplateEntity,
  TemplateVersionEntity,
  BundleEntity,
  BundleReferenceEntity,
  BundleVersionEntity,
  BundleVersionPinEntity,
  ChannelEntity,
  ReleaseEntity,
  ActivationEntity,
  ChangeEntity,
  ChangeHeadEntity,
  RequestEntity,
  ReceiptEntity,
  ReceiptStrayEntity,
  ReceiptPayloadEntity,
  ReceiptPayloadStrayEntity,
  ErasureEntity,
];
