package platform

import (
	"maps"
	"slices"
)

// Kinds lists the names of all presets, and "http".
func Kinds() []string {
	return append(slices.Sorted(maps.Keys(presets())), customKind)
}

// presets are the platforms we know. Every call makes them anew: the caller may
// write to what it gets.
func presets() map[string]Preset {
	return map[string]Preset{
		"vtex":        vtex(),
		"vtex-is":     vtexIntelligentSearch(),
		"shopify":     shopify(),
		"nuvemshop":   nuvemshop(),
		"woocommerce": wooCommerce(),
		"magento":     magento(),
		"wake":        wake(),
		"tray":        tray(),
		"vendure":     vendure(),
		"medusa":      medusa(),
	}
}

// vtex is VTEX's legacy search. data.id of a category is its path of ids from the
// department down, "1/27". A page is at most 50 products and none reaches beyond
// the 2 500th. The answer to a page is a 206.
// https://developers.vtex.com/docs/api-reference/search-api
func vtex() Preset {
	const search = "{base}/api/catalog_system/pub/products/search"
	paging := Paging{Size: 50, Depth: 4, Most: 50}
	return Preset{
		Vars: vtexVars(),
		Lists: map[List]Recipe{
			Category: {URL: search + "?fq=C%3A%2F{id}%2F&O=OrderByScoreDESC&_from={from}&_to={to}", IDs: "#.productId", Paging: paging},
			Similar:  {URL: "{base}/api/catalog_system/pub/products/crossselling/similars/{id}", IDs: "#.productId"},
			Shelf:    {URL: search + "?O=OrderByTopSaleDESC&_from={from}&_to={to}", IDs: "#.productId", Paging: paging},
		},
	}
}

func vtexVars() []Var {
	return []Var{
		{Name: "account"},
		{Name: "base", Default: "https://{account}.vtexcommercestable.com.br", Address: true},
	}
}

// vtexIntelligentSearch is VTEX's newer search, which knows categories by the slug
// of their facet "category-1": platform.vars.facet names another level. It gives out
// at most 50 pages. Similar products are the legacy search's, which every account has.
// https://developers.vtex.com/docs/api-reference/intelligent-search-api
func vtexIntelligentSearch() Preset {
	const (
		search = "{base}/api/intelligent-search/v1/product-search/"
		how    = "?count={size}&page={page}&hideUnavailableItems=true&simulationBehavior=skip"
	)
	paging := Paging{Size: 50, Depth: 4, Most: 50}
	return Preset{
		Vars: append(vtexVars(), Var{Name: "facet", Default: "category-1"}),
		Lists: map[List]Recipe{
			Category: {URL: search + "{facet}/{id}" + how, IDs: "products.#.productId", Paging: paging},
			Similar:  vtex().Lists[Similar],
			Shelf:    {URL: search + how + "&sort=orders%3Adesc", IDs: "products.#.productId", Paging: paging},
		},
	}
}

// nuvemshop is Nuvemshop, known as Tiendanube in Spanish. It lets an application
// ask twice a second, with the header Authentication (not Authorization) and a
// User-Agent that says how to reach its owner. It has no similar products.
// https://tiendanube.github.io/api-documentation/resources/product
func nuvemshop() Preset {
	const search = "{base}/v1/{store}/products?per_page={size}&page={page}&published=true&fields=id"
	paging := Paging{Size: 200, Depth: 1}
	return Preset{
		Vars:  []Var{{Name: "store"}, {Name: "base", Default: "https://api.nuvemshop.com.br", Address: true}},
		Needs: []string{"Authentication", "User-Agent"},
		Rate:  2,
		Lists: map[List]Recipe{
			Category: {URL: search + "&sort_by=user&category_id={id}", IDs: "#.id", Paging: paging},
			Shelf:    {URL: search + "&sort_by=best-selling", IDs: "#.id", Paging: paging},
		},
	}
}

// wooCommerce is the Store API of WooCommerce, which needs no credentials. Unlike
// its REST API it has the merchant's own order, menu_order.
// https://developer.woocommerce.com/docs/apis/store-api/resources-endpoints/products
func wooCommerce() Preset {
	const products = "{base}/wp-json/wc/store/v1/products"
	paging := Paging{Size: 100, Depth: 2}
	const how = "?per_page={size}&page={page}"
	return Preset{
		Vars: []Var{{Name: "base", Address: true}},
		Lists: map[List]Recipe{
			Category: {URL: products + how + "&category={id}&orderby=menu_order&order=asc", IDs: "#.id", Paging: paging},
			Similar:  {URL: products + "?related={id}", IDs: "#.id"},
			Shelf:    {URL: products + how + "&orderby=popularity&order=desc", IDs: "#.id", Paging: paging},
		},
	}
}

// tray is Tray Commerce. Its tokens live three hours: platform.vars.token should
// name a file that something renews. It allows 180 requests a minute and 10 000 a
// day for the whole shop. The member names of its answer are from memory, not checked
// against a published schema. It has neither similar products nor an order by sales.
func tray() Preset {
	return Preset{
		Vars:  []Var{{Name: "base", Address: true}, {Name: "token", Secret: true}},
		Rate:  3,
		Daily: 10_000,
		Lists: map[List]Recipe{
			Category: {
				URL:    "{base}/products?access_token={token}&category_id={id}&available=1&limit={size}&page={page}",
				IDs:    "Products.#.Product.id",
				Paging: Paging{Size: 50, Depth: 2},
			},
		},
	}
}

// medusa is the store API of Medusa 2. It has no order of sales and no similar products.
// https://docs.medusajs.com/api/store#products
func medusa() Preset {
	return Preset{
		Vars:  []Var{{Name: "base", Address: true}},
		Needs: []string{"x-publishable-api-key"},
		Lists: map[List]Recipe{
			Category: {
				URL:    "{base}/store/products?category_id%5B%5D={id}&fields=id&limit={size}&offset={from}",
				IDs:    "products.#.id",
				Paging: Paging{Size: 100, Depth: 2},
			},
		},
	}
}
