package platform

// Preset is all that sets one platform apart: data, read by the engine.
//
// Its texts are templates. {id}, {size}, {page}, {from}, {to} and {cursor} are the
// engine's; any other {name} is a variable of the configuration. In an address
// every byte of what is filled in but the unreserved ones (RFC 3986) is
// percent-encoded, except for a variable that is itself the beginning of an address.
type Preset struct {
	// Vars are the variables, each of which needs a value.
	Vars []Var
	// Headers are sent with every request; the configuration's come on top.
	Headers map[string]string
	// Needs are the headers that the configuration must give.
	Needs []string
	// Lists are the orderings the platform has.
	Lists map[List]Recipe
	// Rate and Daily are the platform's published quota: requests a second, and a day. 0 = none known.
	Rate  float64
	Daily int
}

// Var is a variable of a preset.
type Var struct {
	Name    string
	Default string // "" = required; may itself use the variables before it
	Address bool   // the beginning of an address: filled in as it is
	Secret  bool   // not to be seen on the way
}

// Recipe is how one list is asked for.
type Recipe struct {
	URL string
	// Query makes the request a POST of this GraphQL text, which is sent as it
	// stands: what varies travels as Variables, by the rules of JSON.
	Query     string
	Variables map[string]Variable
	// IDs is the gjson path of the ids in the answer.
	IDs string
	// Unknown is the gjson path of what is null, or an empty list, if the platform
	// does not know the category or product.
	Unknown string
	// Prefix is cut off each id that has it.
	Prefix string
	Paging Paging
	// Numeric says that the platform's ids are integers: any other is not asked for.
	Numeric bool
}

// Variable is a value of a GraphQL request.
type Variable struct {
	Text string // a template
	JSON bool   // filled in, Text is JSON: a number. Else it is a string; an empty {cursor} is null
}

// Paging is how the next page of a list is asked for. Without a Size the list comes whole.
//
// A page follows unless the one before was not full, or Next or Last says that it was
// the last. Where a platform answers 404 beyond the end, that is the end as well.
type Paging struct {
	Size   int    // ids a page
	Depth  int    // pages asked for unless the configuration says otherwise
	Most   int    // pages the platform gives out; 0 = any number
	Cursor string // gjson path of the next page's {cursor}; "" = pages are asked for by {page}, {from} and {to}
	Next   string // gjson path of whether there is a next page; "" = not told
	Last   string // gjson path of the number of the last page; "" = not told
}
