package protocol

import (
	"context"
	"errors"
	"fmt"
)

// XStatus asks polyclam how it and its engines are: a SERVER record, then a NODE
// record for every node of every engine. A server that does not know the verb, as
// clamd, is an error that wraps [ErrUnknownCommand]. There are no records along
// with an error.
func (c *Client) XStatus(ctx context.Context) ([]Record, error) {
	var records []Record
	err := c.exchange(ctx, &request{verb: VerbXStatus}, func(l *link, _ error) (err error) {
		records, err = readRecords(l)
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// readRecords reads records up to END, one of them at least.
func readRecords(l *link) (records []Record, err error) {
	for {
		line, err := l.readReply(maxReply)
		switch {
		case errors.Is(err, ErrNoReply) && len(records) > 0:
			return nil, fmt.Errorf("%w: no %s", ErrBrokenReply, wordEnd)
		case err != nil:
			return nil, err
		case line == wordEnd && len(records) > 0:
			return records, nil
		case isTerse(line):
			return nil, notInGrammar(line)
		case len(records) == maxRecords:
			return nil, fmt.Errorf("%w: more than %d records", ErrReplyTooLong, maxRecords)
		}
		r, err := ParseRecord(line)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReplySyntax, err)
		}
		records = append(records, r)
	}
}
