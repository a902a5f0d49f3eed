// Package fakeshop is a stand-in for a shop's platform: the native orderings and the
// product feed that a sidecar falls back to, with faults on demand.
//
//	shop, err := fakeshop.Start(fakeshop.Options{Catalogue: catalogue})
//	…
//	shop.Disable("p3")                          // taken off every list and the feed
//	shop.SellOut("p7")                          // still listed, but out of stock
//	shop.Set(fakeshop.Fault{Delay: time.Second})
//	shop.Clear()
//
// What it answers is a function of the catalogue and of the products disabled and
// sold out, so a test can say what every list must be.
//
//	GET /native?category=ID[&page=1&limit=50]   the merchant's order of a category
//	GET /similar?product=ID                     products of the nearest price in its category
//	GET /shelf                                  best sellers
//	GET /feed.tsv, .csv, .xml, .ndjson          the product feed, one row for each size
//
// The lists are {"items":[{"productId":"p1"},…],"total":N}; an unknown category or
// product is a 404. The feeds have Google Merchant Center's columns (.xml is its RSS
// 2.0), with the size's stock as quantity and the category's id as category. Every
// answer has an ETag, and is a 304 to who has it already.
//
// A sold-out product stays on its lists, as on most platforms: leaving it out is the
// reader's work, and worth a test.
package fakeshop
