package config

import "reflect"

// Changed returns the paths of the keys that differ, in the order of the documentation.
func Changed(old, now Config) []string {
	var paths []string
	before := keys(&old)
	for i, k := range keys(&now) {
		if !reflect.DeepEqual(before[i].place, k.place) {
			paths = append(paths, k.path)
		}
	}
	return paths
}
