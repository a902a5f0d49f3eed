package platform

// What GraphQL platforms share: the size of a page, an integer, and where it begins.
func sized() Variable  { return Variable{Text: "{size}", JSON: true} }
func cursor() Variable { return Variable{Text: "{cursor}"} }
func number() Variable { return Variable{Text: "{id}", JSON: true} }
func text() Variable   { return Variable{Text: "{id}"} }

// shopify is the Storefront API of Shopify. data.id of a category is its
// collection's handle, that of a product the number within its gid. A public token
// is not throttled by requests; too costly a query is answered with status 200 and
// errors of code THROTTLED.
// https://shopify.dev/docs/api/storefront/2026-04
func shopify() Preset {
	const endpoint = "{base}/api/{version}/graphql.json"
	const product = "gid://shopify/Product/"
	return Preset{
		Vars: []Var{
			{Name: "shop"},
			{Name: "version", Default: "2026-04"},
			{Name: "base", Default: "https://{shop}.myshopify.com", Address: true},
		},
		Needs: []string{"X-Shopify-Storefront-Access-Token"},
		Lists: map[List]Recipe{
			Category: {
				URL: endpoint,
				Query: `query Native($handle: String!, $first: Int!, $after: String) {
  collection(handle: $handle) {
    products(first: $first, after: $after, sortKey: COLLECTION_DEFAULT) { nodes { id } pageInfo { hasNextPage endCursor } }
  }
}`,
				Variables: map[string]Variable{"handle": text(), "first": sized(), "after": cursor()},
				IDs:       "data.collection.products.nodes.#.id",
				Unknown:   "data.collection",
				Prefix:    product,
				Paging: Paging{
					Size: 250, Depth: 1,
					Next:   "data.collection.products.pageInfo.hasNextPage",
					Cursor: "data.collection.products.pageInfo.endCursor",
				},
			},
			Similar: {
				URL:       endpoint,
				Query:     `query Native($id: ID!) { productRecommendations(productId: $id, intent: RELATED) { id } }`,
				Variables: map[string]Variable{"id": {Text: product + "{id}"}},
				IDs:       "data.productRecommendations.#.id",
				Unknown:   "data.productRecommendations",
				Prefix:    product,
				Numeric:   true,
			},
			Shelf: {
				URL: endpoint,
				Query: `query Native($first: Int!, $after: String) {
  products(first: $first, after: $after, sortKey: BEST_SELLING) { nodes { id } pageInfo { hasNextPage endCursor } }
}`,
				Variables: map[string]Variable{"first": sized(), "after": cursor()},
				IDs:       "data.products.nodes.#.id",
				Prefix:    product,
				Paging: Paging{
					Size: 250, Depth: 1,
					Next:   "data.products.pageInfo.hasNextPage",
					Cursor: "data.products.pageInfo.endCursor",
				},
			},
		},
	}
}

// magento is the GraphQL API of Magento Open Source and Adobe Commerce. Its ids are
// SKUs, for products, and the numbers of categories. A page beyond the last is an
// error, hence total_pages. It has no order by sales: for a default shelf curate a
// category, and serve it at an address of your own. The header Store chooses the store view.
// https://developer.adobe.com/commerce/webapi/graphql/schema/products/queries/products/
func magento() Preset {
	const query = `query Native($id: String!, $size: Int!, $page: Int!) {
  products(filter: {category_id: {eq: $id}}, sort: {position: ASC}, pageSize: $size, currentPage: $page) {
    items { sku }
    page_info { total_pages }
  }
}`
	category := Recipe{
		URL:       "{base}/graphql",
		Query:     query,
		Variables: map[string]Variable{"id": text(), "size": sized(), "page": {Text: "{page}", JSON: true}},
		IDs:       "data.products.items.#.sku",
		Paging:    Paging{Size: 100, Depth: 2, Last: "data.products.page_info.total_pages"},
	}
	return Preset{
		Vars: []Var{{Name: "base", Address: true}},
		Lists: map[List]Recipe{
			Category: category,
			Similar: {
				URL:       "{base}/graphql",
				Query:     `query Native($sku: String!) { products(filter: {sku: {eq: $sku}}) { items { related_products { sku } } } }`,
				Variables: map[string]Variable{"sku": text()},
				IDs:       "data.products.items.0.related_products.#.sku",
				Unknown:   "data.products.items",
			},
		},
	}
}

// wake is the Storefront API of Wake, once fbits. Categories have no order of the
// merchant's there (their pages, the hotsites, do, under ids of their own): their
// products come by sales, as the default shelf's do.
// https://wakecommerce.readme.io/docs/storefront-api
func wake() Preset {
	const endpoint = "{base}/graphql"
	paging := Paging{
		Size: 50, Depth: 4,
		Next:   "data.products.pageInfo.hasNextPage",
		Cursor: "data.products.pageInfo.endCursor",
	}
	list := func(declared, filter string, variables map[string]Variable) Recipe {
		return Recipe{
			URL: endpoint,
			Query: `query Native($first: Int!, $after: String` + declared + `) {
  products(first: $first, after: $after, sortKey: SALES, sortDirection: DESC, filters: {mainVariant: true, available: true` + filter + `}) {
    nodes { productId }
    pageInfo { hasNextPage endCursor }
  }
}`,
			Variables: variables,
			IDs:       "data.products.nodes.#.productId",
			Paging:    paging,
			Numeric:   true,
		}
	}
	return Preset{
		Vars:  []Var{{Name: "base", Default: "https://storefront-api.fbits.net", Address: true}},
		Needs: []string{"TCS-Access-Token"},
		Lists: map[List]Recipe{
			Category: list(`, $id: Long!`, `, categoryId: [$id]`,
				map[string]Variable{"first": sized(), "after": cursor(), "id": number()}),
			Similar: {
				URL:       endpoint,
				Query:     `query Native($id: Long!) { productRecommendations(productId: $id, algorithm: DEFAULT, quantity: 24) { productId } }`,
				Variables: map[string]Variable{"id": number()},
				IDs:       "data.productRecommendations.#.productId",
				Unknown:   "data.productRecommendations",
				Numeric:   true,
			},
			Shelf: list("", "", map[string]Variable{"first": sized(), "after": cursor()}),
		},
	}
}

// vendure is the shop API of Vendure 3. data.id of a category is its collection's
// slug. An unknown one is an empty list. Similar products it knows by facet values
// only, which a product's id does not tell. A token for its channel goes into platform.headers
// (vendure-token).
// https://docs.vendure.io/reference/graphql-api/shop/queries#search
func vendure() Preset {
	list := func(declared, filter string, variables map[string]Variable) Recipe {
		return Recipe{
			URL: "{base}/shop-api",
			Query: `query Native($take: Int!, $skip: Int!` + declared + `) {
  search(input: {groupByProduct: true, take: $take, skip: $skip` + filter + `}) { items { productId } }
}`,
			Variables: variables,
			IDs:       "data.search.items.#.productId",
			Paging:    Paging{Size: 100, Depth: 2},
		}
	}
	skip := Variable{Text: "{from}", JSON: true}
	return Preset{
		Vars: []Var{{Name: "base", Address: true}},
		Lists: map[List]Recipe{
			Category: list(`, $slug: String!`, `, collectionSlug: $slug`,
				map[string]Variable{"take": sized(), "skip": skip, "slug": text()}),
			Shelf: list("", "", map[string]Variable{"take": sized(), "skip": skip}),
		},
	}
}
