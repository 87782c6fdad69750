import { defineScenario } from 'muster';

interface Products {
  readonly items: readonly { readonly id: number; readonly name: string }[];
}

/** The same shopper as in storefront.yaml, where the next step depends on what came back. */
export default defineScenario({
  name: 'flow',
  target: 'http://127.0.0.1:8080',
  defaults: { timeout: '10s' },
  data: { users: { file: 'users.csv', order: 'sequential' } },
  scenarios: {
    shop: {
      executor: 'constant-arrival-rate',
      rate: '10/s',
      duration: '20s',
      flow: async (vu) => {
        const list = await vu.http.get('/products', { name: 'list products' });
        const products = list.json<Products>();
        if (!vu.check('there are products', products !== undefined && products.items.length > 0)) return;
        await vu.sleep('500ms');
        const product = products?.items[vu.iteration % products.items.length];
        const added = await vu.http.post('/cart', { product: product?.id ?? 0, user: vu.row('users').name ?? '' }, { name: 'add to cart' });
        vu.check('added to the cart', added.status === 201);
      },
    },
  },
  thresholds: { http_req_response_time: ['p(99)<250'], checks: ['rate>0.99'] },
});
