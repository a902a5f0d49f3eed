// Package shopdata makes up a shop's products, so that the stand-in API and the
// stand-in shop talk about the same ones.
//
// A Catalogue is a pure function of its seed and size, and is never changed after
// New: everybody may read it at once, in any process that knows the three numbers.
package shopdata

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
)

// popularitySigma is the spread of the lognormal popularity of products. It fits
// the quantiles published for the OTTO data set; Zipf's law is too concentrated
// for shops.
const popularitySigma = 1.88

// similarLimit is how many similar products Similar names, about what shop
// platforms show.
const similarLimit = 24

// A Product is one thing the shop sells, in several sizes.
type Product struct {
	ID         string
	Title      string
	Category   string // the id of the one category it is in
	Brand      string
	Colour     string
	Price      int // in cents
	SalePrice  int // in cents, 0 when the product is not on sale
	Variants   []Variant
	Popularity float64 // relative weight among all products, > 0
}

// A Variant is a product in one size.
type Variant struct {
	Size     string
	Quantity int // units in stock
}

// Quantity returns the units in stock over all sizes.
func (p Product) Quantity() int {
	total := 0
	for _, v := range p.Variants {
		total += v.Quantity
	}
	return total
}

// A Category is a page of products.
type Category struct {
	ID       string
	Name     string
	Products []string // ids in the merchant's order
}

// A Catalogue is everything a shop sells. Its slices must not be changed.
type Catalogue struct {
	Products   []Product  // p1, p2, …
	Categories []Category // c1, c2, …

	ids        []string
	best       []string
	products   map[string]int
	categories map[string]int
}

// New makes a catalogue of the given size, the same one whenever it is asked with
// the same numbers. Products are named p1, p2, … and spread evenly over the
// categories c1, c2, …; sizes below one are taken as one.
func New(seed uint64, products, categories int) *Catalogue {
	products, categories = max(products, 1), max(categories, 1)
	rng := rand.New(rand.NewPCG(seed, 0x76697472696e65))
	c := &Catalogue{
		Products:   make([]Product, products),
		Categories: make([]Category, categories),
		ids:        make([]string, products),
		products:   make(map[string]int, products),
		categories: make(map[string]int, categories),
	}
	for i := range c.Categories {
		c.Categories[i] = Category{ID: "c" + strconv.Itoa(i+1), Name: garments[i%len(garments)] + suffix(i/len(garments))}
		c.categories[c.Categories[i].ID] = i
	}
	for i := range c.Products {
		category := &c.Categories[i%categories]
		p := makeProduct(rng, i, category)
		c.Products[i], c.ids[i], c.products[p.ID] = p, p.ID, i
		category.Products = append(category.Products, p.ID)
	}
	for i := range c.Categories {
		shuffle(rng, c.Categories[i].Products)
	}
	c.best = slices.Clone(c.ids)
	c.sortBest(c.best)
	return c
}

// IDs returns every product's id, in the order of Products.
func (c *Catalogue) IDs() []string { return c.ids }

// BestSellers returns every product's id, the most popular first.
func (c *Catalogue) BestSellers() []string { return c.best }

// Product returns the product of that id, and whether there is one.
func (c *Catalogue) Product(id string) (Product, bool) {
	i, ok := c.products[id]
	if !ok {
		return Product{}, false
	}
	return c.Products[i], true
}

// Category returns the category of that id, and whether there is one.
func (c *Catalogue) Category(id string) (Category, bool) {
	i, ok := c.categories[id]
	if !ok {
		return Category{}, false
	}
	return c.Categories[i], true
}

// CategoryBestSellers returns the category's products, the most popular first.
func (c *Catalogue) CategoryBestSellers(id string) []string {
	category, _ := c.Category(id)
	ids := slices.Clone(category.Products)
	c.sortBest(ids)
	return ids
}

// Similar returns up to 24 products of the same category, those of the nearest
// price first: what a platform without any intelligence calls similar.
func (c *Catalogue) Similar(id string) []string {
	p, ok := c.Product(id)
	if !ok {
		return nil
	}
	category, _ := c.Category(p.Category)
	ids := slices.DeleteFunc(slices.Clone(category.Products), func(other string) bool { return other == id })
	distance := func(other string) int {
		d := c.Products[c.products[other]].Price - p.Price
		return max(d, -d)
	}
	slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(distance(a), distance(b)) })
	return slices.Clip(ids[:min(len(ids), similarLimit)])
}

func (c *Catalogue) sortBest(ids []string) {
	slices.SortStableFunc(ids, func(a, b string) int {
		return cmp.Compare(c.Products[c.products[b]].Popularity, c.Products[c.products[a]].Popularity)
	})
}

func makeProduct(rng *rand.Rand, i int, category *Category) Product {
	colour, brand := pick(rng, colours), pick(rng, brands)
	p := Product{
		ID:         "p" + strconv.Itoa(i+1),
		Title:      category.Name + " " + brand + " " + colour,
		Category:   category.ID,
		Brand:      brand,
		Colour:     colour,
		Price:      int(math.Exp(9.9+0.8*rng.NormFloat64()))/100*100 + 90, // median about R$ 200, ending in ,90
		Popularity: math.Exp(popularitySigma * rng.NormFloat64()),
	}
	if rng.IntN(4) == 0 {
		p.SalePrice = p.Price * (100 - 10*(1+rng.IntN(5))) / 100
	}
	for _, size := range sizes {
		quantity := 0
		if rng.IntN(6) != 0 { // one size in six is gone, as in any real shop
			quantity = 1 + rng.IntN(30)
		}
		p.Variants = append(p.Variants, Variant{Size: size, Quantity: quantity})
	}
	return p
}

func pick(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }

func shuffle(rng *rand.Rand, ids []string) {
	rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
}

func suffix(n int) string {
	if n == 0 {
		return ""
	}
	return " " + strconv.Itoa(n+1)
}

// Word lists, never changed.
var (
	garments = []string{"Vestido", "Calça", "Camisa", "Saia", "Blusa", "Jaqueta", "Short", "Macacão", "Tênis", "Bolsa"}
	colours  = []string{"preto", "branco", "azul", "vermelho", "verde", "bege", "rosa", "amarelo"}
	brands   = []string{"Aurora", "Maré", "Lume", "Serra", "Brisa", "Ipê"}
	sizes    = []string{"PP", "P", "M", "G", "GG"}
)
