package origin

import (
	"context"
	"io"

	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// generations is a store in which only what belongs to the generation of the context can be found. A request keeps
// the generation that it began with, so that nothing made before a flush is stored after it.
type generations struct{ storage.Store }

// key adds the generation. A URL's key holds no "#", so that this is nobody else's.
func (generations) key(ctx context.Context, key string) string {
	if g, _ := ctx.Value(generationKey).(string); g != "" {
		return key + "#generation=" + g
	}
	return key
}

func (s generations) Get(ctx context.Context, key string) (*storage.Response, error) {
	return s.Store.Get(ctx, s.key(ctx, key))
}

func (s generations) Create(ctx context.Context, key string, e *serialize.Entry) (storage.Writer, error) {
	return s.Store.Create(ctx, s.key(ctx, key), e)
}

func (s generations) Update(ctx context.Context, key string, e *serialize.Entry) error {
	return s.Store.Update(ctx, s.key(ctx, key), e)
}

func (s generations) Delete(ctx context.Context, key string) error {
	return s.Store.Delete(ctx, s.key(ctx, key))
}

// Close closes the store if it can be closed.
func (s generations) Close() error {
	if c, ok := s.Store.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
