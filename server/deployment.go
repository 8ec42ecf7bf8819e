package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
)

// deployment is what a deploy carries: wasm in artifact, or JavaScript or TypeScript in Source.
type deployment struct {
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
	Language    string `json:"language,omitempty"`
	Source      string `json:"source,omitempty"`
	artifact    []byte
}

// fieldLimit is the size of a multipart field that is neither artifact nor source.
const fieldLimit = 64 << 10

// scriptLanguages are the files that a multipart artifact may also be.
var scriptLanguages = map[string]string{
	".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript",
	".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "typescript",
}

func (s *Server) readDeployment(w http.ResponseWriter, r *http.Request) (*deployment, error) {
	limit := s.opts.ArtifactLimitBytes
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	switch kind {
	case "application/json":
		// JSON escapes can double the text.
		body, err := readBody(w, r, 2*limit)
		if err != nil {
			return nil, err
		}
		var d deployment
		if err := decodeStrict(body, &d); err != nil {
			return nil, err
		}
		if int64(len(d.Source)) > limit {
			return nil, &http.MaxBytesError{Limit: limit}
		}
		return &d, nil
	case "multipart/form-data":
		if r.ContentLength > limit+fieldLimit*8 {
			return nil, &http.MaxBytesError{Limit: limit}
		}
		return readMultipart(multipart.NewReader(r.Body, params["boundary"]), limit)
	default:
		return nil, newProblem(http.StatusUnsupportedMediaType, CodeUnsupportedMediaType,
			"Send application/json with a source, or multipart/form-data with an artifact.").
			withHeader("Accept-Post", "application/json, multipart/form-data")
	}
}

// readMultipart reads the parts as they come; nothing is spooled to disk.
func readMultipart(form *multipart.Reader, limit int64) (*deployment, error) {
	var d deployment
	seen := map[string]bool{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, multipartError(err)
		}
		name := part.FormName()
		if seen[name] {
			return nil, multipartError(fmt.Errorf("the part %q is there twice", name))
		}
		seen[name] = true
		size := int64(fieldLimit)
		if name == "artifact" || name == "source" {
			size = limit
		}
		data, err := io.ReadAll(io.LimitReader(part, size+1))
		if err != nil {
			return nil, multipartError(err)
		}
		if int64(len(data)) > size {
			return nil, &http.MaxBytesError{Limit: size}
		}
		switch name {
		case "name":
			d.Name = string(data)
		case "description":
			d.Description = string(data)
		case "language":
			d.Language = string(data)
		case "source":
			d.Source = string(data)
		case "artifact":
			language := scriptLanguages[path.Ext(part.FileName())]
			if language != "" && !bytes.HasPrefix(data, []byte("\x00asm")) {
				d.Source = string(data)
				if d.Language == "" {
					d.Language = language
				}
				continue
			}
			if data == nil {
				data = []byte{}
			}
			d.artifact = data
		default:
			return nil, multipartError(fmt.Errorf("the part %q is unknown; the parts are name, description, language, source and artifact", name))
		}
	}
	if d.artifact == nil && d.Source == "" {
		return nil, multipartError(errors.New(`the part "artifact" is missing; send the wasm file in it`))
	}
	if d.artifact != nil && d.Source != "" {
		return nil, multipartError(errors.New("send an artifact or a source, not both"))
	}
	return &d, nil
}

// multipartError keeps what bodyProblem knows and explains the rest.
func multipartError(err error) error {
	if bodyProblem(err) != nil {
		return err
	}
	return newProblem(http.StatusBadRequest, CodeInvalidRequest, fmt.Sprintf("The multipart body is not valid: %v.", err))
}
