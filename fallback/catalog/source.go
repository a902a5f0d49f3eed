package catalog

type source interface{}

func newSource(o Options) source { return nil }
