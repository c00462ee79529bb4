package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A sample is a quantity of one way at one x: its median and 95 % interval.
type sample struct{ x, median, low, high float64 }

// A series is the samples of one way, in the order of the file.
type series struct {
	way     string
	columns map[string][]sample
}

// read reads a CSV file. The comment in its first line describes the machine.
func read(data []byte) (about string, all []series, err error) {
	if line, rest, ok := bytes.Cut(data, []byte("\n")); ok && bytes.HasPrefix(line, []byte("# ")) {
		about, data = string(line[2:]), rest
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return "", nil, err
	}
	if len(rows) < 2 || len(rows[0]) < 3 || rows[0][0] != "x" || rows[0][1] != "way" {
		return "", nil, errors.New("want columns x, way, and quantities")
	}
	at := map[string]int{}
	for n, row := range rows[1:] {
		i, ok := at[row[1]]
		if !ok {
			i = len(all)
			at[row[1]] = i
			all = append(all, series{way: row[1], columns: map[string][]sample{}})
		}
		if err := all[i].add(rows[0], row); err != nil {
			return "", nil, fmt.Errorf("row %d: %w", n+1, err)
		}
	}
	return about, all, nil
}

// add adds a row. The interval of a column is in those with _low and _high.
func (s *series) add(head, row []string) error {
	values := map[string]float64{}
	for i, name := range head {
		if i == 1 {
			continue
		}
		v, err := strconv.ParseFloat(row[i], 64)
		if err != nil || !(v >= 0 && v <= 1e15) {
			return fmt.Errorf("%s %q: want a number", name, row[i])
		}
		values[name] = v
	}
	for _, name := range head[2:] {
		low, isQuantity := values[name+"_low"]
		if isQuantity && !strings.HasSuffix(name, "_low") {
			s.columns[name] = append(s.columns[name], sample{values["x"], values[name], low, values[name+"_high"]})
		}
	}
	return nil
}
