import { readFileSync } from 'node:fs';
import type { Server } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';

/** What a server tells of itself: gRPC health, for whoever supervises it, and reflection, for whoever explores it. */
export function addIntrospection(server: Server): void {
  const health = new HealthImplementation({ '': 'SERVING', 'muster.v1.Control': 'SERVING', 'muster.v1.Runs': 'SERVING' });
  health.addToServer(server);
  const descriptors = loadFileDescriptorSetFromBuffer(readFileSync(new URL('../../proto/gen/descriptor.binpb', import.meta.url)));
  new ReflectionService(descriptors).addToServer(server);
}
