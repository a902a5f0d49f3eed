// A real shop for the end-to-end test: Vendure on sql.js, in memory, with a small
// catalogue. It prints one line, "ready PORT", and runs until its standard input ends,
// so that it never outlives the test that started it.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { bootstrap, DefaultSearchPlugin, JobQueueService, LanguageCode } = require('@vendure/core');
const { populate } = require('@vendure/core/cli');
// Not exported by the package's index.
const { InMemoryJobQueueStrategy } = require('@vendure/core/dist/job-queue/in-memory-job-queue-strategy');

const config = {
  apiOptions: { hostname: '127.0.0.1', port: 0, cors: false, adminApiPath: 'admin-api', shopApiPath: 'shop-api' },
  authOptions: {
    tokenMethod: 'bearer',
    superadminCredentials: { identifier: 'superadmin', password: 'superadmin' },
  },
  dbConnectionOptions: { type: 'sqljs', synchronize: true, logging: false },
  importExportOptions: { importAssetsDir: __dirname },
  jobQueueOptions: { jobQueueStrategy: new InMemoryJobQueueStrategy({ concurrency: 1, pollInterval: 20 }) },
  paymentOptions: { paymentMethodHandlers: [] },
  plugins: [DefaultSearchPlugin.init({ bufferUpdates: false })],
};

const collection = (name) => ({
  name,
  filters: [{ code: 'facet-value-filter', args: { facetValueNames: [name], containsAny: false } }],
});

const initialData = {
  defaultLanguage: LanguageCode.en,
  defaultZone: 'Americas',
  countries: [{ name: 'Brazil', code: 'BR', zone: 'Americas' }],
  taxRates: [{ name: 'Standard', percentage: 0 }],
  shippingMethods: [{ name: 'Standard', price: 1000 }],
  paymentMethods: [],
  collections: [collection('Dresses'), collection('Shoes')],
};

// Two sizes a product: without groupByProduct each would be listed twice.
function catalogue() {
  const rows = ['name,slug,description,assets,facets,optionGroups,optionValues,sku,price,taxCategory,stockOnHand,trackInventory,variantAssets,variantFacets'];
  for (const kind of ['Dresses', 'Shoes']) {
    for (let i = 1; i <= 12; i++) {
      const name = `${kind} ${i}`;
      const slug = name.toLowerCase().replace(' ', '-');
      rows.push(`${name},${slug},,,category:${kind},size,S,${slug}-s,${100 + i},standard,10,false,,`);
      rows.push(`,,,,,,M,${slug}-m,${100 + i},standard,10,false,,`);
    }
  }
  return rows.join('\n') + '\n';
}

async function main() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'vitrine-vendure-'));
  const csv = path.join(folder, 'products.csv');
  fs.writeFileSync(csv, catalogue());
  let app;
  try {
    app = await populate(async () => {
      const started = await bootstrap(config);
      await started.get(JobQueueService).start();
      return started;
    }, initialData, csv);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
  console.log(`ready ${app.getHttpServer().address().port}`);
  process.stdin.on('end', () => process.exit(0)).resume();
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
