package extended

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// A field encodes and decodes one field of a typed record. Keys and their order are
// defined only in the list that the type's fields method returns.
type field struct {
	write func(*Record)
	read  func(Record) error
}

// write returns a record with all fields that are not empty.
func write(object, word string, fields []field) Record {
	r := Record{Object: object, Word: word}
	for _, f := range fields {
		f.write(&r)
	}
	return r
}

// read sets the fields from r. It reads all of them and returns the first error.
func read(r Record, fields []field) (err error) {
	for _, f := range fields {
		if e := f.read(r); err == nil {
			err = e
		}
	}
	return err
}

// add adds a field unless its value is empty.
func (r *Record) add(key, value string) {
	if value != "" {
		r.Fields = append(r.Fields, Field{key, value})
	}
}

// optional is a field that may be missing or malformed.
func optional(key string, write func() string, read func(value string)) field {
	return field{
		write: func(r *Record) { r.add(key, write()) },
		read:  func(r Record) error { read(r.Get(key)); return nil },
	}
}

func text(key string, p *string) field {
	return optional(key, func() string { return *p }, func(value string) { *p = value })
}

// number is written even if it is 0.
func number(key string, p *int64) field {
	return optional(key, func() string { return strconv.FormatInt(*p, 10) }, func(value string) { *p, _ = parseInt(value, 64) })
}

// count is a number that is written only if it is greater than least.
func count(key string, least int64, p *int64) field {
	f := number(key, p)
	writeNumber := f.write
	f.write = func(r *Record) {
		if *p > least {
			writeNumber(r)
		}
	}
	return f
}

// parseInt accepts a number only as FormatInt writes it.
func parseInt(value string, bits int) (int64, bool) {
	n, err := strconv.ParseInt(value, 10, bits)
	if err != nil || strconv.FormatInt(n, 10) != value {
		return 0, false
	}
	return n, true
}

// flag is written as yes or no. If one of them is empty, that value is not written, and a
// missing field means that value.
func flag(key string, p *bool, yes, no string) field {
	return optional(key, func() string {
		if *p {
			return yes
		}
		return no
	}, func(value string) {
		if *p = value != no; no == "" {
			*p = value == yes
		}
	})
}

// stamp is a time in UTC, to the second.
func stamp(key string, p *time.Time) field {
	return optional(key, func() string {
		if p.IsZero() {
			return ""
		}
		return p.UTC().Format(time.RFC3339)
	}, func(value string) {
		*p, _ = time.Parse(time.RFC3339, value)
	})
}

// seconds is a duration, to the millisecond.
func seconds(key string, p *time.Duration) field {
	return optional(key, func() string {
		return strconv.FormatFloat(max(*p, 0).Seconds(), 'f', 3, 64)
	}, func(value string) {
		*p = 0
		if s, err := strconv.ParseFloat(value, 64); err == nil && s >= 0 && s < 1e9 {
			*p = time.Duration(math.Round(s*1000)) * time.Millisecond
		}
	})
}

// code is a 32-bit number. A missing one is an error.
func code(p *int) field {
	return field{
		write: func(r *Record) { r.add("code", strconv.Itoa(*p)) },
		read: func(r Record) error {
			n, ok := parseInt(r.Get("code"), 32)
			if *p = int(n); !ok {
				*p = NoCode
				return fmt.Errorf("%w: code %.20q", ErrSyntax, r.Get("code"))
			}
			return nil
		},
	}
}
