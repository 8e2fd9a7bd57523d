package compat

import (
	"context"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/go-cachecontrol/cachecontrol/keys"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// awsS3 signs each request, and the signatures differ. A private cache uses a stored response for all of them, because S3
// sends no Vary: Authorization. GetObject and PutObject add different parameters x-id to the URL of an object.
var awsS3 = client{
	name:   "aws-sdk-go-v2, S3",
	module: "github.com/aws/aws-sdk-go-v2/service/s3",
	start: func(e *env) use {
		backend := s3mem.New()
		if err := backend.CreateBucket("bucket"); err != nil {
			e.t.Fatal(err)
		}
		e.serve(gofakes3.New(backend).Server().ServeHTTP, nil, func(text string) {
			if _, err := backend.PutObject("bucket", "text", nil, strings.NewReader(text), int64(len(text)), nil); err != nil {
				e.t.Error(err)
			}
		})
		e.cache.Key = keys.Without("x-id")
		c := s3.New(s3.Options{
			BaseEndpoint: aws.String(e.url),
			UsePathStyle: true,
			Region:       "us-east-1",
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
			}),
			HTTPClient:       e.cache.Client(),
			RetryMaxAttempts: 1,
		})
		bucket, key := aws.String("bucket"), aws.String("text")
		u := use{
			open: func(ctx context.Context) (io.ReadCloser, error) {
				out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
				if err != nil {
					return nil, err
				}
				return out.Body, nil
			},
			write: func(ctx context.Context, text string) error {
				_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader(text)})
				if err == nil {
					e.wrote(text)
				}
				return err
			},
		}
		u.read = readAll(u.open)
		return u
	},
}
