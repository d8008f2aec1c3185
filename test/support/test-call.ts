import { RenderService } from '../../gen/platen/v1/render_service_pb.js';
import { Call, rpcName } from '../../src/rpc/call.ts';
import type { ServedMethod } from '../../src/rpc/method.ts';

interface TestCallInit {
  readonly method?: ServedMethod;
  readonly headers?: Readonly<Record<string, string>>;
  readonly deadline?: number;
}

/** A call without a transport. */
export class TestCall extends Call {
  readonly transport = 'grpc';
  readonly peer = '127.0.0.1:1';
  readonly #headers: Readonly<Record<string, string>>;

  constructor({ method = RenderService.method.render, headers = {}, deadline }: TestCallInit = {}) {
    super(method, rpcName(method), deadline);
    this.#headers = headers;
  }

  header(name: string): string | undefined {
    return this.#headers[name];
  }
}
