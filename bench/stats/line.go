package stats

// Line is the straight line nearest to points, by least squares.
type Line struct {
	At0   float64 // its value at 0
	Slope float64
	R2    float64 // the share of the points' variance it explains: 1 is all
}

// Fit returns the line through the points (x, y). Fewer than two different x have none:
// then the line is level, and explains nothing.
func Fit(points [][2]float64) Line {
	n := float64(len(points))
	var sx, sy, sxx, sxy, syy float64
	for _, p := range points {
		sx, sy = sx+p[0], sy+p[1]
		sxx, sxy, syy = sxx+p[0]*p[0], sxy+p[0]*p[1], syy+p[1]*p[1]
	}
	spread := n*sxx - sx*sx
	if n < 2 || spread <= 0 {
		return Line{At0: sy / max(1, n)}
	}
	l := Line{Slope: (n*sxy - sx*sy) / spread}
	l.At0 = (sy - l.Slope*sx) / n
	if whole := n*syy - sy*sy; whole > 0 {
		l.R2 = (n*sxy - sx*sy) * (n*sxy - sx*sy) / spread / whole
	}
	return l
}
